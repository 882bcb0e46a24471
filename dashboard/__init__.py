"""The Streamlit app over catalog and results."""
