"""Writes the documents that are made from the program's own command line and catalogs; scripts/generate-docs runs it.

command_tree reads what `weir help-json` prints. Each document has a module that turns that into its text: man_page,
completion, faults_page and settings_page. documents lists them, and compares them with the committed files or writes
them. A new document is a module, and a line in documents.DOCUMENTS.
"""
