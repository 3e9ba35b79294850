"""The only part that speaks HTTP with DataCite, and all we know of how DataCite behaves.

``validation`` refuses what DataCite would refuse; ``client`` sends one request and brings one answer;
``outcome`` says what the answer means; ``normal`` knows in which form DataCite stores what was sent.
"""
