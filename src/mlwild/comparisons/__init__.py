"""Which of several models is better, by a procedure that suits what was given."""
