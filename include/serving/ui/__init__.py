"""Pages for people who use the models, under `/ui`; made from the models' cards.

`pages` stays light: what needs Gradio is imported when the first page is asked for.
"""
