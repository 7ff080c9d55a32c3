"""Models side by side on identical trials.

`contenders` finds who is compared and what all of them were asked, `outcomes` reads what each answer is worth,
`differences` compares pairs of contenders, `costs` says what the answers took, `gate` judges for a build, `words` says
all of it in sentences. `compare` in `contenders` is the way in.
"""
