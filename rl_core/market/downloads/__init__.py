"""Bars from exchanges and vendors, page by page."""
