"""The demand file: what to store and under which rules.

::

    text ─► plain values ─► file shape ─► Demand
    reader   formats         shape         normalise, model, jobs
             yaml_text       problems      names, members
"""
