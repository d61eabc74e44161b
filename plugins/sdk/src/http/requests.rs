//! A delivery in as many requests as it takes.

use super::judge::Answered;
use crate::output::Outcome;

/// A request that was made of the first of some records.
#[derive(Debug)]
pub struct Tried {
    /// The records it had no room for, by number: they are next.
    pub left: Vec<usize>,
    /// The records it carried, and what became of them. It carried none if each of them was decided about before.
    pub answered: Option<Answered>,
}

/// Calls `send` with the numbers of records, ascending, of `0..records`, until all of them were tried, one request at a time.
/// What it says of records that it did not send is its caller's to keep.
///
/// - Several that are refused together, or too large together, are tried again in halves: one of them may be the reason.
/// - A server in trouble is asked once: what was not tried yet shares the outcome of what is to be tried again.
pub async fn in_requests(records: usize, mut send: impl AsyncFnMut(Vec<usize>) -> Tried) -> Vec<Answered> {
    let mut answered = Vec::new();
    let mut todo: Vec<Vec<usize>> = vec![(0..records).collect()];
    while let Some(numbers) = todo.pop() {
        let tried = send(numbers).await;
        if !tried.left.is_empty() {
            todo.push(tried.left);
        }
        let Some((mut sent, outcome)) = tried.answered else { continue };
        match outcome {
            Outcome::TooLarge | Outcome::Refused { .. } if sent.len() > 1 => {
                let rest = sent.split_off(sent.len() / 2);
                todo.extend([rest, sent]);
            }
            outcome @ Outcome::Retry { .. } => {
                // The next in line is the last.
                sent.extend(todo.drain(..).rev().flatten());
                answered.push((sent, outcome));
            }
            outcome => answered.push((sent, outcome)),
        }
    }
    answered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::one_outcome;
    use crate::ledger::Reason;
    use crate::output::Verdict;

    fn refused() -> Outcome {
        Outcome::Refused { reason: Reason::REJECTED, detail: "no".to_owned() }
    }

    fn retry() -> Outcome {
        Outcome::Retry { why: "busy".to_owned(), after: None, degraded: false }
    }

    /// A server that takes so many at once, and answers each request by the records in it: the requests, and the outcome.
    async fn sent(records: usize, room: usize, answer: impl Fn(&[usize]) -> Outcome) -> (Vec<Vec<usize>>, Outcome) {
        let mut requests = Vec::new();
        let answered = in_requests(records, async |mut numbers| {
            let left = numbers.split_off(numbers.len().min(room));
            requests.push(numbers.clone());
            let outcome = answer(&numbers);
            Tried { left, answered: Some((numbers, outcome)) }
        })
        .await;
        (requests, one_outcome(Vec::new(), answered))
    }

    #[tokio::test]
    async fn what_has_no_room_goes_in_the_next() {
        let (requests, outcome) = sent(5, 2, |_| Outcome::Delivered).await;
        assert_eq!(requests, [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(outcome, Outcome::Delivered);
        let none = in_requests(3, async |_| Tried { left: Vec::new(), answered: None }).await;
        assert!(none.is_empty());
    }

    #[tokio::test]
    async fn the_one_that_spoils_it_is_found() {
        for culprit in 0..7 {
            let answer = |numbers: &[usize]| if numbers.contains(&culprit) { refused() } else { Outcome::Delivered };
            let (requests, outcome) = sent(7, 4, answer).await;
            let verdict = Verdict::Refused { reason: Reason::REJECTED, detail: "no".to_owned() };
            assert_eq!(outcome, Outcome::Partial(vec![(culprit, verdict)]));
            assert!(requests.len() <= 6, "{requests:?}");
        }
    }

    #[tokio::test]
    async fn a_server_in_trouble_is_asked_once() {
        let (requests, outcome) = sent(9, 3, |_| retry()).await;
        assert_eq!((requests.len(), outcome), (1, retry()));
        // What was taken before that stands.
        let answer = |numbers: &[usize]| if numbers.contains(&3) { retry() } else { Outcome::Delivered };
        let (requests, outcome) = sent(9, 3, answer).await;
        assert_eq!(requests.len(), 2);
        let Outcome::Partial(verdicts) = outcome else { panic!("{outcome:?}") };
        assert_eq!(verdicts.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8]);
    }

    #[tokio::test]
    async fn each_that_is_too_large_is_so_by_itself() {
        let (requests, outcome) =
            sent(
                4,
                4,
                |numbers| if numbers == [2] || numbers.len() > 1 { Outcome::TooLarge } else { Outcome::Delivered },
            )
            .await;
        assert_eq!(requests, [vec![0, 1, 2, 3], vec![0, 1], vec![0], vec![1], vec![2, 3], vec![2], vec![3]]);
        assert!(
            matches!(&outcome, Outcome::Partial(verdicts) if verdicts.len() == 1 && verdicts[0].0 == 2),
            "{outcome:?}"
        );
    }
}
