"""What an operator should know: each file has one subject, gathers its facts, and finds what is wrong with them."""
