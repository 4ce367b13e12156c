"""What carries decisions out: queue, cache, conditional writes, lease; and the reconcilers of the three
kinds.
"""
