"""A leaderboard as files: a first page, and a page for each result.

Input: results. Output: HTML files that link to each other and to nothing else.
"""
