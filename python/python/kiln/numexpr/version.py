"""Which numexpr's functions these are."""

version = "2.14.2"
__version__ = version
