"""What history says of splits and monitors: what each promised against what came."""
