"""What every recovery shares, of Restores and of PostgresClusters that begin as a copy. It knows neither.

target      whether the storage can bring PostgreSQL there     hindrance   why a recovery cannot begin
plan        what a recovery in place was going to change       exit_codes  whether another attempt may end better
"""
