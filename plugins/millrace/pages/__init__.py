"""Self-contained HTML reports: one file each, no scripts, no requests, fit for print.

Every value that comes from data is escaped by the templates. Import the page you need from its
module: only those with charts load matplotlib.
"""
