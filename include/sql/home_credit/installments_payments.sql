-- One row for each applicant with instalments of earlier loans: how much and how late was paid.
-- An instalment may be paid in parts, so the parts are put together first.
WITH parts AS (
    SELECT
        SK_ID_CURR,
        SK_ID_PREV,
        NUM_INSTALMENT_VERSION AS version,
        NUM_INSTALMENT_NUMBER AS number,
        DAYS_INSTALMENT AS due,
        AMT_INSTALMENT AS owed,
        COUNT(*) AS parts,
        MAX(DAYS_ENTRY_PAYMENT) AS paid_on,
        SUM(AMT_PAYMENT) AS paid
    FROM installments_payments
    GROUP BY SK_ID_CURR, SK_ID_PREV, NUM_INSTALMENT_VERSION, NUM_INSTALMENT_NUMBER,
        DAYS_INSTALMENT, AMT_INSTALMENT
),
instalments AS (
    SELECT
        parts.*,
        paid_on - due AS days_late,
        CASE WHEN paid_on > due THEN paid_on - due ELSE 0 END AS delay,
        CASE WHEN paid_on < due THEN due - paid_on ELSE 0 END AS ahead,
        owed - paid AS short_by
    FROM parts
)
SELECT
    SK_ID_CURR,
    COUNT(*) AS inst_instalments,  -- Instalments of earlier loans
    COUNT(DISTINCT SK_ID_PREV) AS inst_loans,  -- Earlier loans with instalments
    COUNT(*) FILTER (WHERE parts > 1) AS inst_in_parts,  -- Instalments that were paid in parts
    COUNT(*) FILTER (WHERE paid_on IS NULL) AS inst_unpaid,  -- Instalments without a payment
    MAX(version) AS inst_version_max,  -- Highest version of a plan of instalments: how often it changed
    COUNT(DISTINCT version) AS inst_versions,  -- Versions of plans of instalments
    SUM(owed) AS inst_owed_sum,  -- All instalments together
    SUM(paid) AS inst_paid_sum,  -- All payments together
    MAX(owed) AS inst_owed_max,  -- Largest instalment
    CAST(SUM(owed) AS DOUBLE) / COUNT(owed) AS inst_owed_mean,  -- Mean instalment
    CAST(SUM(paid) AS DOUBLE) / COUNT(paid) AS inst_paid_mean,  -- Mean payment of an instalment
    CAST(SUM(paid) AS DOUBLE) / NULLIF(CAST(SUM(owed) AS DOUBLE), 0) AS inst_paid_to_owed,  -- Paid over owed
    SUM(CASE WHEN short_by > 0 THEN short_by ELSE 0 END) AS inst_short_sum,  -- Amount not paid of instalments that were paid in part
    MAX(short_by) AS inst_short_max,  -- Largest amount not paid of an instalment
    COUNT(*) FILTER (WHERE short_by > 0) AS inst_short,  -- Instalments that were paid in part only
    CAST(COUNT(*) FILTER (WHERE short_by > 0) AS DOUBLE) / COUNT(*) AS inst_short_share,  -- Share of the instalments that were paid in part only
    CAST(COUNT(*) FILTER (WHERE short_by > 0 AND due >= -365) AS DOUBLE)
        / NULLIF(COUNT(*) FILTER (WHERE due >= -365), 0) AS inst_short_share_last_year,  -- Share of the last year's instalments that were paid in part only
    COUNT(*) FILTER (WHERE days_late > 0) AS inst_late,  -- Instalments paid late
    CAST(COUNT(*) FILTER (WHERE days_late > 0) AS DOUBLE) / COUNT(*) AS inst_late_share,  -- Share of the instalments paid late
    COUNT(*) FILTER (WHERE days_late > 7) AS inst_late_week,  -- Instalments paid more than a week late
    COUNT(*) FILTER (WHERE days_late > 30) AS inst_late_month,  -- Instalments paid more than 30 days late
    MAX(days_late) AS inst_days_late_max,  -- Most days late; negative where every instalment was paid ahead
    CAST(SUM(delay) AS DOUBLE) / COUNT(paid_on) AS inst_delay_mean,  -- Mean days late, in time counts as 0
    CAST(SUM(ahead) AS DOUBLE) / COUNT(paid_on) AS inst_ahead_mean,  -- Mean days ahead, late counts as 0
    MAX(ahead) AS inst_ahead_max,  -- Most days ahead
    COUNT(*) FILTER (WHERE due >= -365) AS inst_last_year,  -- Instalments due in the last year
    CAST(COUNT(*) FILTER (WHERE days_late > 0 AND due >= -365) AS DOUBLE)
        / NULLIF(COUNT(*) FILTER (WHERE due >= -365), 0) AS inst_late_share_last_year,  -- Share of the last year's instalments paid late
    CAST(COUNT(*) FILTER (WHERE days_late > 0 AND due >= -90) AS DOUBLE)
        / NULLIF(COUNT(*) FILTER (WHERE due >= -90), 0) AS inst_late_share_last_quarter,  -- Share of the last 90 days' instalments paid late
    CAST(SUM(delay) FILTER (WHERE due >= -365) AS DOUBLE)
        / NULLIF(COUNT(paid_on) FILTER (WHERE due >= -365), 0) AS inst_delay_mean_last_year,  -- Mean days late of the last year's instalments
    MAX(days_late) FILTER (WHERE due >= -365) AS inst_days_late_max_last_year,  -- Most days late of the last year's instalments
    CAST(SUM(delay) FILTER (WHERE due >= -365) AS DOUBLE)
        / NULLIF(COUNT(paid_on) FILTER (WHERE due >= -365), 0)
        - CAST(SUM(delay) AS DOUBLE) / NULLIF(COUNT(paid_on), 0) AS inst_delay_trend,  -- Mean days late in the last year less the mean of all: above 0 it gets worse
    CAST(SUM(paid) FILTER (WHERE due >= -365) AS DOUBLE)
        / NULLIF(CAST(SUM(owed) FILTER (WHERE due >= -365) AS DOUBLE), 0) AS inst_paid_to_owed_last_year,  -- Paid over owed in the last year
    MAX(due) AS inst_last_due,  -- Days from the last instalment to the application, negative
    MIN(due) AS inst_first_due,  -- Days from the first instalment to the application, negative
    MAX(paid_on) AS inst_last_paid,  -- Days from the last payment to the application, negative
    MAX(number) AS inst_number_max  -- Highest number of an instalment: the longest plan
FROM instalments
GROUP BY SK_ID_CURR
