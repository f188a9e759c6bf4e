"""`kubectl pgwarden dashboard`: a page on 127.0.0.1 that shows what the user may read, and changes nothing.

Pure, objects in and values to print out:
overview    every Repository at a glance        moment      what a Restore to a moment takes, and its command
proof       what the last drills proved         week        the backups of the coming week
timeline    one Repository's past               drills      RestoreDrills with their seconds
axis        times as places on a drawing        snapshot    what was read, and what could not be

pages       values in, HTML out (jinja2)        reading     the API server, asked no more than needed
guard       which requests are answered         shell       routes (aiohttp); command starts it
"""
