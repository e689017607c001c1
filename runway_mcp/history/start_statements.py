"""The statements of the history about starts, in the SQL that all databases here have."""

from runway_mcp.history.task_records import IS_OPEN

SNAPSHOT = """
SELECT
    (SELECT count(*) FROM starts WHERE account = :account AND state = 'pending' AND abs(begun - :now) < :sending),
    (SELECT price FROM starts WHERE account = :account AND caller = :caller AND fingerprint = :fingerprint
        AND price IS NOT NULL AND begun > :since ORDER BY number DESC LIMIT 1),
    (SELECT max(price) FROM starts WHERE account = :account AND price_key = :price_key
        AND price IS NOT NULL AND begun > :since)
"""
SPENT = """
SELECT coalesce(sum(credits), 0), count(*) FILTER (WHERE credits IS NULL)
FROM starts WHERE account = :account AND begun >= :day AND number <= :up_to
"""
RESULT = """
UPDATE starts SET state = :state, task_id = :task_id, credits = coalesce(:cost, credits), price = :cost
WHERE number = :number
"""
CANCELLED = """
UPDATE starts SET state = 'cancelled', client_token = NULL, credits = coalesce(:cost, credits) WHERE number = :number
"""
NOT_SENT = """
DELETE FROM starts WHERE state = 'pending' AND account = :account AND caller = :caller AND fingerprint = :fingerprint
AND begun = :now
"""
MAKE_KEY = "INSERT INTO secrets (name, value) VALUES ('answers', :value) ON CONFLICT DO NOTHING"
OPEN = f"SELECT number, type, begun, credits FROM starts WHERE {IS_OPEN}"  # noqa: S608 - made of constants
INSERT = """
INSERT INTO starts (
    begun, account, caller, client_token, fingerprint, price_key, type, state, credits, model, prompt, seconds, saving
) VALUES (
    :now, :account, :caller, :token_digest, :fingerprint, :price_key, :type, 'pending', :credits, :model, :prompt,
    :seconds, :saving
)
"""
