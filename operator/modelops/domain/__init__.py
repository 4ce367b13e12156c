"""Pure decisions: the observed state goes in, a plan comes out. No I/O, no clock."""
