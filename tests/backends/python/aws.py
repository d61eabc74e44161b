"""AWS by its own SDK, boto3: `prepare` makes what the agent writes to, `facts` does what the agent does, and the others read
back what is there. Usage: aws.py COMMAND ENDPOINT ARGUMENT...; stdout is one JSON value. Bytes are in base64."""

import base64
import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "eu-central-1"
KEY = {"aws_access_key_id": "AKIDSUIROTEST", "aws_secret_access_key": "suiro-secret"}


def client(name, endpoint, **more):
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client(name, endpoint_url=endpoint, region_name=REGION, config=config, **{**KEY, **more})


def text(data):
    return base64.b64encode(data).decode()


def prepare(endpoint, name):
    """A bucket, a Kinesis stream of two shards, and a delivery stream into another bucket, all of this name."""
    s3 = client("s3", endpoint)
    for bucket in (name, f"{name}-delivered"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    client("kinesis", endpoint).create_stream(StreamName=name, ShardCount=2)
    to = {"RoleARN": "arn:aws:iam::123456789012:role/suiro", "BucketARN": f"arn:aws:s3:::{name}-delivered"}
    client("firehose", endpoint).create_delivery_stream(DeliveryStreamName=name, S3DestinationConfiguration=to)
    return True


def logs(endpoint, group):
    """All events of a group, each stream's in the order the service has them."""
    service = client("logs", endpoint)
    events = []
    for page in service.get_paginator("describe_log_streams").paginate(logGroupName=group):
        for stream in page["logStreams"]:
            name, token = stream["logStreamName"], None
            while True:
                more = {"nextToken": token} if token else {}
                answer = service.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True, **more)
                events += [{"stream": name, "time": e["timestamp"], "message": e["message"]} for e in answer["events"]]
                if answer["nextForwardToken"] == token or not answer["events"]:
                    break
                token = answer["nextForwardToken"]
    return events


def traces(endpoint, *ids):
    """The documents of these traces, as they were sent."""
    service = client("xray", endpoint)
    documents = []
    for at in range(0, len(ids), 5):
        answer = service.batch_get_traces(TraceIds=list(ids[at : at + 5]))
        documents += [segment["Document"] for trace in answer["Traces"] for segment in trace["Segments"]]
    return documents


def stream(endpoint, name):
    """All records of a Kinesis stream."""
    service = client("kinesis", endpoint)
    records = []
    for shard in service.list_shards(StreamName=name)["Shards"]:
        start = {"StreamName": name, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = service.get_shard_iterator(**start)["ShardIterator"]
        while iterator:
            answer = service.get_records(ShardIterator=iterator, Limit=1000)
            records += [{"key": r["PartitionKey"], "data": text(r["Data"])} for r in answer["Records"]]
            iterator = answer["NextShardIterator"] if answer["Records"] else None
    return records


def objects(endpoint, bucket):
    """All objects of a bucket."""
    service = client("s3", endpoint)
    found = []
    for page in service.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            answer = service.get_object(Bucket=bucket, Key=entry["Key"])
            encoding, etag = answer.get("ContentEncoding"), answer["ETag"]
            found.append({"key": entry["Key"], "encoding": encoding, "etag": etag, "data": text(answer["Body"].read())})
    return found


def metrics(endpoint, namespace):
    """Each metric of a namespace, with statistics of the last two hours."""
    service = client("cloudwatch", endpoint)
    now, found = time.time(), []
    for page in service.get_paginator("list_metrics").paginate(Namespace=namespace):
        for metric in page["Metrics"]:
            one = {"Namespace": namespace, "MetricName": metric["MetricName"], "Dimensions": metric["Dimensions"]}
            points = service.get_metric_statistics(
                **one, StartTime=now - 7200, EndTime=now + 3600, Period=60,
                Statistics=["SampleCount", "Sum", "Minimum", "Maximum"],
            )["Datapoints"]
            points = [{**point, "Timestamp": point["Timestamp"].timestamp()} for point in points]
            found.append({"name": metric["MetricName"], "dimensions": metric["Dimensions"], "points": points})
    return found


def facts(endpoint):
    """Does what the agent does, to the project's own server, and what that refuses. The codes of the refusals, by what was tried."""
    now = int(time.time() * 1000)
    codes = {}

    def tried(what, call, **arguments):
        try:
            return call(**arguments)
        except ClientError as error:
            codes[what] = [error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]]

    service = client("logs", endpoint)
    put = {"logGroupName": "facts", "logStreamName": "s"}
    events = [{"timestamp": now, "message": "ü"}, {"timestamp": now + 86_400_000, "message": "tomorrow"}]
    tried("no group", service.put_log_events, **put, logEvents=events)
    service.create_log_group(logGroupName="facts", tags={"a": "b"})
    service.create_log_stream(**put)
    rejected = service.put_log_events(**put, logEvents=events)["rejectedLogEventsInfo"]
    tried("order", service.put_log_events, **put, logEvents=[events[1], events[0]])
    groups = [group["logGroupName"] for group in service.describe_log_groups()["logGroups"]]

    for what, more in {"secret": {"aws_secret_access_key": "wrong"}, "key": {"aws_access_key_id": "AKIDNOBODY"}}.items():
        wrong = {name: client(name, endpoint, **more) for name in ("logs", "s3", "sts", "xray")}
        tried(f"logs {what}", wrong["logs"].describe_log_groups)
        tried(f"s3 {what}", wrong["s3"].put_object, Bucket="suiro", Key="a", Body=b"x")
        role = {"RoleArn": "arn:aws:iam::123456789012:role/suiro", "RoleSessionName": "facts"}
        tried(f"sts {what}", wrong["sts"].assume_role, **role)
        tried(f"xray {what}", wrong["xray"].get_sampling_rules)

    xray = client("xray", endpoint)
    segment = {"id": "0123456789abcdef", "trace_id": "1-58406520-a006649127e371903a2de979", "name": "a", "start_time": 1.5}
    documents = [json.dumps({**segment, "in_progress": True}), json.dumps(segment), "{}"]
    unprocessed = xray.put_trace_segments(TraceSegmentDocuments=documents)["UnprocessedTraceSegments"]
    rules = [record["SamplingRule"]["RuleName"] for record in xray.get_sampling_rules()["SamplingRuleRecords"]]

    kinesis, firehose = client("kinesis", endpoint), client("firehose", endpoint)
    records = [{"Data": b"one", "PartitionKey": "a"}, {"Data": b"two", "PartitionKey": "ü"}]
    taken = kinesis.put_records(StreamName="suiro", Records=records)
    tried("no stream", kinesis.put_records, StreamName="none", Records=records)
    tried("501 records", kinesis.put_records, StreamName="suiro", Records=records[:1] * 501)
    delivered = firehose.put_record_batch(DeliveryStreamName="suiro", Records=[{"Data": b"one"}])

    s3 = client("s3", endpoint)
    etag = s3.put_object(Bucket="suiro", Key="a b/ü+=&?.txt", Body=b"hello", ContentType="text/plain")["ETag"]
    tried("no bucket", s3.put_object, Bucket="none", Key="a", Body=b"x")
    upload = {"Bucket": "suiro", "Key": "large"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    parts = [{"PartNumber": n + 1, "ETag": s3.upload_part(**upload, PartNumber=n + 1, Body=body)["ETag"]}
             for n, body in enumerate((b"x" * (5 << 20), b"y"))]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    upload["UploadId"] = s3.create_multipart_upload(Bucket="suiro", Key="large")["UploadId"]
    parts = [{"PartNumber": n, "ETag": s3.upload_part(**upload, PartNumber=n, Body=b"x")["ETag"]} for n in (1, 2)]
    tried("small part", s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": parts})
    s3.abort_multipart_upload(**upload)

    got = client("sts", endpoint).assume_role(**role)["Credentials"]
    session = {"aws_access_key_id": got["AccessKeyId"], "aws_secret_access_key": got["SecretAccessKey"]}
    session["aws_session_token"] = got["SessionToken"]
    client("logs", endpoint, **session).put_log_events(**put, logEvents=events[:1])

    return {
        "codes": codes, "rejected": rejected, "groups": groups, "unprocessed": unprocessed, "rules": rules, "etag": etag,
        "kinesis": [taken["FailedRecordCount"], len(taken["Records"])], "firehose": delivered["FailedPutCount"],
    }


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    known = {"prepare": prepare, "logs": logs, "traces": traces, "stream": stream, "objects": objects, "metrics": metrics, "facts": facts}
    print(json.dumps(known[command](*arguments)))
