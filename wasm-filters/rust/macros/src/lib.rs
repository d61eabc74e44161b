//! The attribute `#[filter]` of `suiro-filter`, which is documented there.
//!
//! The function stays as it is written, so that tests call it. Beside it come the exports of a `suiro_v1` module, only
//! where the target is WebAssembly: there can be one filter in a module, and the linker says so when there are two.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Error, FnArg, ItemFn, Type};

/// Makes a function the filter of this module.
#[proc_macro_attribute]
pub fn filter(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if !arguments.is_empty() {
        let arguments = Tokens::from(arguments);
        return Error::new_spanned(arguments, "#[filter] has no arguments").into_compile_error().into();
    }
    expand(item.into()).unwrap_or_else(Error::into_compile_error).into()
}

fn expand(item: Tokens) -> Result<Tokens, Error> {
    let function: ItemFn = syn::parse2(item)?;
    let signature = &function.sig;
    if let Some(asyncness) = &signature.asyncness {
        return Err(Error::new_spanned(asyncness, "a filter is not async: it has nothing to wait for"));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "a filter has no generic parameters"));
    }
    let inputs: Vec<&FnArg> = signature.inputs.iter().collect();
    let state = match inputs.as_slice() {
        [record] => {
            referent(record)?;
            quote!(())
        }
        [record, state] => {
            referent(record)?;
            let state = referent(state)?;
            quote!(#state)
        }
        _ => {
            let what = "a filter is `fn(&mut Record) -> Verdict` or `fn(&mut Record, &mut State) -> Verdict`";
            return Err(Error::new_spanned(signature, what));
        }
    };
    let name = &signature.ident;
    let call = if inputs.len() == 1 { quote!(#name(record)) } else { quote!(#name(record, state)) };
    // Without a second parameter nobody names `state`.
    let state_name = if inputs.len() == 1 { quote!(_) } else { quote!(state) };
    Ok(quote! {
        #function

        #[cfg(target_family = "wasm")]
        const _: () = {
            static INSTANCE: ::suiro_filter::__private::Instance<#state> = ::suiro_filter::__private::Instance::new();

            #[unsafe(no_mangle)]
            extern "C" fn suiro_version() -> i32 {
                1
            }

            #[unsafe(no_mangle)]
            extern "C" fn init() -> i32 {
                INSTANCE.init()
            }

            #[unsafe(no_mangle)]
            extern "C" fn process(count: i32) {
                INSTANCE.process(count, |record, #state_name| #call)
            }

            #[unsafe(no_mangle)]
            extern "C" fn flush() {
                INSTANCE.flush()
            }
        };
    })
}

/// The `T` of a parameter `name: &mut T`.
fn referent(parameter: &FnArg) -> Result<&Type, Error> {
    if let FnArg::Typed(typed) = parameter
        && let Type::Reference(reference) = &*typed.ty
        && reference.mutability.is_some()
    {
        return Ok(&reference.elem);
    }
    Err(Error::new_spanned(parameter, "a filter's parameters are `&mut Record` and, if it has state, `&mut State`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(item: Tokens) -> String {
        expand(item).expect_err("it is no filter").to_string()
    }

    #[test]
    fn what_is_no_filter_is_refused_with_what_one_is() {
        assert!(
            refused(quote!(
                fn f() -> Verdict {
                    Verdict::Keep
                }
            ))
            .contains("fn(&mut Record) -> Verdict")
        );
        assert!(
            refused(quote!(
                fn f(r: Record) {}
            ))
            .contains("&mut Record")
        );
        assert!(
            refused(quote!(
                async fn f(r: &mut Record) {}
            ))
            .contains("not async")
        );
        assert!(
            refused(quote!(
                fn f<T>(r: &mut Record) {}
            ))
            .contains("generic")
        );
    }

    #[test]
    fn the_function_stays_and_the_state_is_found() {
        let tokens = expand(quote!(
            pub fn f(r: &mut Record, s: &mut Table) -> Verdict {
                s.look(r)
            }
        ))
        .unwrap()
        .to_string();
        assert!(tokens.starts_with("pub fn f (r : & mut Record , s : & mut Table) -> Verdict"), "{tokens}");
        assert!(tokens.contains("Instance < Table >"), "{tokens}");
        for export in ["suiro_version", "init", "process", "flush"] {
            assert!(tokens.contains(&format!("extern \"C\" fn {export}")), "{export}");
        }
    }
}
