"""What settings ask for, put together: the one place that knows every room."""
