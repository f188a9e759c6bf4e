"""What the controller, the webhook and the agent say to each other, as types that both sides use.

programs     how a container of our image is started        calls    what an agent can be asked, and its answers
environment  what it is told by its variables               status   what an agent knows
job_result   what a Job leaves in its termination message
recovery     how a recovery stands

Agents of another version may answer: fields are added, never changed, and what is not there is its default.
"""
