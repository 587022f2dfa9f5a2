-- One row for each applicant with credits at other lenders, with the months of these credits.
-- Amounts are exact decimals, so no sum depends on the order of the rows.
WITH months AS (
    SELECT
        SK_ID_BUREAU,
        COUNT(*) AS months,
        COUNT(*) FILTER (WHERE STATUS = 'C') AS months_closed,
        COUNT(*) FILTER (WHERE STATUS = 'X') AS months_unknown,
        COUNT(*) FILTER (WHERE STATUS IN ('1', '2', '3', '4', '5')) AS months_late,
        COUNT(*) FILTER (WHERE STATUS IN ('2', '3', '4', '5')) AS months_very_late,
        COUNT(*) FILTER (WHERE STATUS IN ('1', '2', '3', '4', '5') AND MONTHS_BALANCE >= -12)
            AS months_late_recent,
        MAX(CASE STATUS WHEN '0' THEN 0 WHEN '1' THEN 1 WHEN '2' THEN 2 WHEN '3' THEN 3
            WHEN '4' THEN 4 WHEN '5' THEN 5 END) AS worst_status,
        MIN(MONTHS_BALANCE) AS first_month
    FROM bureau_balance
    GROUP BY SK_ID_BUREAU
),
credits AS (
    SELECT
        bureau.*,
        application.AMT_INCOME_TOTAL AS income,
        application.AMT_CREDIT AS credit,
        application.AMT_ANNUITY AS annuity,
        months.months,
        months.months_closed,
        months.months_unknown,
        months.months_late,
        months.months_very_late,
        months.months_late_recent,
        months.worst_status,
        months.first_month
    FROM bureau
    JOIN application ON application.SK_ID_CURR = bureau.SK_ID_CURR
    LEFT JOIN months ON months.SK_ID_BUREAU = bureau.SK_ID_BUREAU
)
SELECT
    SK_ID_CURR,
    COUNT(*) AS bureau_credits,  -- Credits at other lenders
    COUNT(*) FILTER (WHERE CREDIT_ACTIVE = 'Active') AS bureau_active,  -- Active credits at other lenders
    COUNT(*) FILTER (WHERE CREDIT_ACTIVE = 'Closed') AS bureau_closed,  -- Closed credits at other lenders
    COUNT(*) FILTER (WHERE CREDIT_ACTIVE IN ('Sold', 'Bad debt')) AS bureau_sold_or_bad,  -- Credits at other lenders that were sold or are bad debt
    CAST(COUNT(*) FILTER (WHERE CREDIT_ACTIVE = 'Active') AS DOUBLE) / COUNT(*) AS bureau_active_share,  -- Share of the credits at other lenders that are active
    COUNT(DISTINCT CREDIT_TYPE) AS bureau_types,  -- Kinds of credit at other lenders
    COUNT(*) FILTER (WHERE CREDIT_TYPE = 'Consumer credit') AS bureau_consumer,  -- Consumer credits at other lenders
    COUNT(*) FILTER (WHERE CREDIT_TYPE = 'Credit card') AS bureau_cards,  -- Credit cards of other lenders
    COUNT(*) FILTER (WHERE CREDIT_TYPE = 'Car loan') AS bureau_car_loans,  -- Car loans of other lenders
    COUNT(*) FILTER (WHERE CREDIT_TYPE = 'Mortgage') AS bureau_mortgages,  -- Mortgages of other lenders
    COUNT(*) FILTER (WHERE CREDIT_TYPE = 'Microloan') AS bureau_microloans,  -- Microloans of other lenders
    MAX(DAYS_CREDIT) AS bureau_days_newest,  -- Days from the newest credit at another lender to the application, negative
    MIN(DAYS_CREDIT) AS bureau_days_oldest,  -- Days from the oldest credit at another lender to the application, negative
    CAST(SUM(DAYS_CREDIT) AS DOUBLE) / COUNT(DAYS_CREDIT) AS bureau_days_mean,  -- Mean days from a credit at another lender to the application, negative
    MAX(DAYS_CREDIT) FILTER (WHERE CREDIT_ACTIVE = 'Active') AS bureau_active_days_newest,  -- Days from the newest active credit at another lender to the application, negative
    COUNT(*) FILTER (WHERE DAYS_CREDIT >= -365) AS bureau_credits_last_year,  -- Credits taken at other lenders in the last year
    COUNT(*) FILTER (WHERE DAYS_CREDIT >= -90) AS bureau_credits_last_quarter,  -- Credits taken at other lenders in the last 90 days
    CAST(COUNT(*) FILTER (WHERE DAYS_CREDIT >= -365) AS DOUBLE) / COUNT(*) AS bureau_share_last_year,  -- Share of the credits at other lenders that were taken in the last year
    CAST(MAX(DAYS_CREDIT) - MIN(DAYS_CREDIT) AS DOUBLE) / NULLIF(COUNT(*) - 1, 0) AS bureau_days_between,  -- Mean days between two credits at other lenders
    MAX(DAYS_CREDIT_UPDATE) AS bureau_days_update,  -- Days from the last news of the bureau to the application, negative
    MAX(DAYS_CREDIT_ENDDATE) FILTER (WHERE CREDIT_ACTIVE = 'Active') AS bureau_days_left_max,  -- Longest time that an active credit at another lender still runs, in days
    CAST(SUM(DAYS_CREDIT_ENDDATE) FILTER (WHERE CREDIT_ACTIVE = 'Active') AS DOUBLE)
        / COUNT(DAYS_CREDIT_ENDDATE) FILTER (WHERE CREDIT_ACTIVE = 'Active') AS bureau_days_left_mean,  -- Mean time that active credits at other lenders still run, in days
    COUNT(*) FILTER (WHERE CREDIT_ACTIVE = 'Active' AND DAYS_CREDIT_ENDDATE < 0) AS bureau_active_past_end,  -- Active credits at other lenders whose end has passed
    CAST(SUM(DAYS_ENDDATE_FACT - DAYS_CREDIT_ENDDATE) AS DOUBLE)
        / COUNT(DAYS_ENDDATE_FACT - DAYS_CREDIT_ENDDATE) AS bureau_end_delay_mean,  -- Mean days by which closed credits ended later than planned
    SUM(AMT_CREDIT_SUM) AS bureau_credit_sum,  -- All credits at other lenders together
    MAX(AMT_CREDIT_SUM) AS bureau_credit_max,  -- Largest credit at another lender
    CAST(SUM(AMT_CREDIT_SUM) AS DOUBLE) / COUNT(AMT_CREDIT_SUM) AS bureau_credit_mean,  -- Mean credit at other lenders
    SUM(AMT_CREDIT_SUM) FILTER (WHERE CREDIT_ACTIVE = 'Active') AS bureau_active_credit_sum,  -- All active credits at other lenders together
    SUM(AMT_CREDIT_SUM_DEBT) AS bureau_debt_sum,  -- Debt of all credits at other lenders
    MAX(AMT_CREDIT_SUM_DEBT) AS bureau_debt_max,  -- Largest debt of a credit at another lender
    SUM(AMT_CREDIT_SUM_DEBT) FILTER (WHERE CREDIT_ACTIVE = 'Active') AS bureau_active_debt_sum,  -- Debt of active credits at other lenders
    SUM(AMT_CREDIT_SUM_LIMIT) AS bureau_limit_sum,  -- Limits of credit cards of other lenders together
    SUM(AMT_CREDIT_SUM_OVERDUE) AS bureau_overdue_sum,  -- Amount overdue at other lenders
    MAX(AMT_CREDIT_MAX_OVERDUE) AS bureau_overdue_ever_max,  -- Largest amount that ever was overdue at another lender
    CAST(SUM(AMT_CREDIT_MAX_OVERDUE) AS DOUBLE) / COUNT(AMT_CREDIT_MAX_OVERDUE) AS bureau_overdue_ever_mean,  -- Mean of the largest amounts overdue
    MAX(CREDIT_DAY_OVERDUE) AS bureau_days_overdue_max,  -- Most days that a credit at another lender is overdue
    COUNT(*) FILTER (WHERE CREDIT_DAY_OVERDUE > 0) AS bureau_overdue_credits,  -- Credits at other lenders that are overdue
    SUM(CNT_CREDIT_PROLONG) AS bureau_prolonged,  -- How often credits at other lenders were prolonged
    SUM(AMT_ANNUITY) AS bureau_annuity_sum,  -- Annuities at other lenders together
    CAST(SUM(AMT_CREDIT_SUM_DEBT) AS DOUBLE) / NULLIF(CAST(SUM(AMT_CREDIT_SUM) AS DOUBLE), 0) AS bureau_debt_to_credit,  -- Debt over credit at other lenders
    CAST(SUM(AMT_CREDIT_SUM_DEBT) FILTER (WHERE CREDIT_ACTIVE = 'Active') AS DOUBLE)
        / NULLIF(CAST(SUM(AMT_CREDIT_SUM) FILTER (WHERE CREDIT_ACTIVE = 'Active') AS DOUBLE), 0) AS bureau_active_debt_to_credit,  -- Debt over credit of the active credits at other lenders
    CAST(SUM(AMT_CREDIT_SUM_OVERDUE) AS DOUBLE) / NULLIF(CAST(SUM(AMT_CREDIT_SUM_DEBT) AS DOUBLE), 0) AS bureau_overdue_to_debt,  -- Amount overdue over debt at other lenders
    CAST(SUM(AMT_CREDIT_SUM_DEBT) AS DOUBLE) / NULLIF(CAST(MAX(income) AS DOUBLE), 0) AS bureau_debt_to_income,  -- Debt at other lenders over yearly income
    CAST(SUM(AMT_CREDIT_SUM_DEBT) AS DOUBLE) / NULLIF(CAST(MAX(credit) AS DOUBLE), 0) AS bureau_debt_to_new_credit,  -- Debt at other lenders over the loan applied for
    CAST(SUM(AMT_ANNUITY) AS DOUBLE) / NULLIF(CAST(MAX(annuity) AS DOUBLE), 0) AS bureau_annuity_to_new_annuity,  -- Annuities at other lenders over the annuity applied for
    SUM(months) AS bureau_months,  -- Months of credits at other lenders on record
    MIN(first_month) AS bureau_first_month,  -- Oldest month on record at the bureau, negative
    SUM(months_late) AS bureau_months_late,  -- Months in which a credit at another lender was late
    SUM(months_very_late) AS bureau_months_very_late,  -- Months in which a credit at another lender was more than 30 days late
    SUM(months_late_recent) AS bureau_months_late_last_year,  -- Months of the last year in which a credit at another lender was late
    MAX(worst_status) AS bureau_worst_status,  -- Worst status at another lender: 0 in time, 1 up to 30 days late, 5 more than 120 or written off
    COUNT(*) FILTER (WHERE months_late > 0) AS bureau_credits_ever_late,  -- Credits at other lenders that were late in some month
    CAST(SUM(months_late) AS DOUBLE) / NULLIF(SUM(months), 0) AS bureau_late_share,  -- Share of the months on record in which a credit was late
    CAST(SUM(months_closed) AS DOUBLE) / NULLIF(SUM(months), 0) AS bureau_closed_month_share,  -- Share of the months on record after the credit was closed
    CAST(SUM(months_unknown) AS DOUBLE) / NULLIF(SUM(months), 0) AS bureau_unknown_month_share  -- Share of the months on record whose status is not known
FROM credits
GROUP BY SK_ID_CURR
