"""A release's images, and what is told beside them: what they consist of, and what they were made from."""
