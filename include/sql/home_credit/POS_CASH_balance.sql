-- One row for each applicant with earlier point-of-sale or cash loans.
WITH loans AS (
    SELECT
        SK_ID_CURR,
        SK_ID_PREV,
        COUNT(*) AS months,
        MAX(MONTHS_BALANCE) AS last_month,
        MIN(MONTHS_BALANCE) AS first_month,
        SUM(SK_DPD) AS dpd,
        MAX(SK_DPD) AS dpd_max,
        MAX(SK_DPD_DEF) AS dpd_def_max,
        COUNT(*) FILTER (WHERE SK_DPD > 0) AS late,
        COUNT(*) FILTER (WHERE SK_DPD_DEF > 0) AS late_def,
        COUNT(*) FILTER (WHERE SK_DPD > 0 AND MONTHS_BALANCE >= -12) AS late_last_year,
        COUNT(*) FILTER (WHERE SK_DPD > 0 AND MONTHS_BALANCE >= -3) AS late_last_quarter,
        COUNT(*) FILTER (WHERE MONTHS_BALANCE >= -12) AS months_last_year,
        MAX(CNT_INSTALMENT) AS term_max,
        MIN(CNT_INSTALMENT) AS term_min,
        MIN(CNT_INSTALMENT_FUTURE) AS left_min,
        SUM(CNT_INSTALMENT) AS term_sum,
        COUNT(CNT_INSTALMENT) AS term_count,
        SUM(CNT_INSTALMENT_FUTURE) AS left_sum,
        COUNT(CNT_INSTALMENT_FUTURE) AS left_count,
        COUNT(*) FILTER (WHERE NAME_CONTRACT_STATUS = 'Completed') AS completed,
        COUNT(*) FILTER (WHERE NAME_CONTRACT_STATUS = 'Returned to the store') AS returned,
        COUNT(*) FILTER (WHERE NAME_CONTRACT_STATUS IN ('Demand', 'Amortized debt')) AS demanded
    FROM POS_CASH_balance
    GROUP BY SK_ID_CURR, SK_ID_PREV
)
SELECT
    SK_ID_CURR,
    COUNT(*) AS pos_loans,  -- Earlier point-of-sale and cash loans
    SUM(months) AS pos_months,  -- Months of these loans on record
    MAX(last_month) AS pos_last_month,  -- Newest month on record, negative
    MIN(first_month) AS pos_first_month,  -- Oldest month on record, negative
    COUNT(*) FILTER (WHERE completed > 0) AS pos_completed,  -- Loans that were completed
    CAST(COUNT(*) FILTER (WHERE completed > 0) AS DOUBLE) / COUNT(*) AS pos_completed_share,  -- Share of the loans that were completed
    COUNT(*) FILTER (WHERE completed = 0 AND last_month >= -1) AS pos_running,  -- Loans that were running in the last month
    COUNT(*) FILTER (WHERE returned > 0) AS pos_returned,  -- Loans whose goods were returned
    COUNT(*) FILTER (WHERE demanded > 0) AS pos_demanded,  -- Loans that were demanded back or written off
    MAX(dpd_max) AS pos_dpd_max,  -- Most days past due
    MAX(dpd_def_max) AS pos_dpd_tolerant_max,  -- Most days past due, small debts left out
    CAST(SUM(dpd) AS DOUBLE) / SUM(months) AS pos_dpd_mean,  -- Mean days past due over all months
    SUM(late) AS pos_late_months,  -- Months past due
    SUM(late_def) AS pos_late_months_tolerant,  -- Months past due, small debts left out
    CAST(SUM(late) AS DOUBLE) / SUM(months) AS pos_late_share,  -- Share of the months past due
    CAST(SUM(late_def) AS DOUBLE) / SUM(months) AS pos_late_share_tolerant,  -- Share of the months past due, small debts left out
    SUM(late_last_year) AS pos_late_last_year,  -- Months past due in the last year
    SUM(late_last_quarter) AS pos_late_last_quarter,  -- Months past due in the last three months
    CAST(SUM(late_last_year) AS DOUBLE) / NULLIF(SUM(months_last_year), 0) - CAST(SUM(late) AS DOUBLE) / SUM(months) AS pos_late_trend,  -- Share of months past due in the last year less the share in all months: above 0 it gets worse
    COUNT(*) FILTER (WHERE late > 0) AS pos_late_loans,  -- Loans that were past due in some month
    MAX(term_max) AS pos_term_max,  -- Longest term, in months
    CAST(SUM(term_sum) AS DOUBLE) / NULLIF(SUM(term_count), 0) AS pos_term_mean,  -- Mean term over all months, in months
    COUNT(*) FILTER (WHERE term_max > term_min) AS pos_term_changed,  -- Loans whose term was changed
    CAST(SUM(left_sum) AS DOUBLE) / NULLIF(SUM(left_count), 0) AS pos_left_mean,  -- Mean number of instalments left over all months
    SUM(left_min) FILTER (WHERE completed = 0 AND last_month >= -1) AS pos_left_running,  -- Instalments left of the running loans
    MAX(first_month) AS pos_newest_start  -- Start of the newest loan on record, in months, negative
FROM loans
GROUP BY SK_ID_CURR
