"""Coming back to a page: the browser's own way back forgets what stood behind the question mark.

Streamlit changes the address in two steps when a link of a page is followed, and the step back leads between them. So
a page remembers its address, and takes it again when it is entered without one from another page that does so.
"""

import streamlit as st

_LAST = "page_that_was_shown_last"


def keep(prefix: str) -> None:
    """Remember the address of a page, and take it again where the page is entered without; call it first.

    ``prefix`` is how the names of the page's widgets begin.
    """
    is_entered = st.session_state.get(_LAST) not in (None, prefix)
    st.session_state[_LAST] = prefix
    own = {name: st.query_params.get_all(name) for name in st.query_params if name.startswith(prefix)}
    before = st.session_state.get(f"address_of_{prefix}")
    if not own and before and is_entered:
        st.query_params.from_dict(before)
        st.rerun()
    st.session_state[f"address_of_{prefix}"] = own
