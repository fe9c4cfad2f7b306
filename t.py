from pgsteward import *
syntax error
@rule(id="t", title="t", from_="tables", needs={"dead": "tables.dead"})
def t(call):
    x
Rules = plugin("t", "1.0.0", t)
