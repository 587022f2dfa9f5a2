-- One row for each application: its fields, cleaned, and figures made of them.
-- A ratio is missing where a part of it is missing, or where it would divide by 0.
-- Gender is no feature: the law forbids it as a ground for refusing credit (docs/privacy.md).
WITH cleaned AS (
    SELECT
        application.*,
        CAST(-DAYS_BIRTH AS DOUBLE) / 365.25 AS age,
        -- 365243 days (a thousand years) stand for 'not employed'
        CAST(CASE WHEN DAYS_EMPLOYED <> 365243 THEN -DAYS_EMPLOYED END AS DOUBLE) AS employed,
        CAST(AMT_INCOME_TOTAL AS DOUBLE) AS income,
        CAST(AMT_CREDIT AS DOUBLE) AS credit,
        CAST(AMT_ANNUITY AS DOUBLE) AS annuity,
        CAST(AMT_GOODS_PRICE AS DOUBLE) AS goods,
        CASE WHEN EXT_SOURCE_1 IS NULL THEN 0 ELSE 1 END
            + CASE WHEN EXT_SOURCE_2 IS NULL THEN 0 ELSE 1 END
            + CASE WHEN EXT_SOURCE_3 IS NULL THEN 0 ELSE 1 END AS scores,
        COALESCE(EXT_SOURCE_1, 0) + COALESCE(EXT_SOURCE_2, 0) + COALESCE(EXT_SOURCE_3, 0) AS score_sum,
        LEAST(COALESCE(EXT_SOURCE_1, 2), COALESCE(EXT_SOURCE_2, 2), COALESCE(EXT_SOURCE_3, 2)) AS score_min,
        GREATEST(COALESCE(EXT_SOURCE_1, -1), COALESCE(EXT_SOURCE_2, -1), COALESCE(EXT_SOURCE_3, -1)) AS score_max
    FROM application
)
SELECT
    SK_ID_CURR,
    NAME_CONTRACT_TYPE AS name_contract_type,  -- Kind of loan: cash or revolving
    FLAG_OWN_CAR AS flag_own_car,  -- Whether the applicant owns a car (Y, N)
    FLAG_OWN_REALTY AS flag_own_realty,  -- Whether the applicant owns a house or flat (Y, N)
    CNT_CHILDREN AS cnt_children,  -- Number of children
    AMT_INCOME_TOTAL AS amt_income_total,  -- Yearly income
    AMT_CREDIT AS amt_credit,  -- Amount of the loan
    AMT_ANNUITY AS amt_annuity,  -- Annuity of the loan
    AMT_GOODS_PRICE AS amt_goods_price,  -- Price of the goods that the loan is for
    NAME_TYPE_SUITE AS name_type_suite,  -- Who came along when applying
    NAME_INCOME_TYPE AS name_income_type,  -- Source of income
    NAME_EDUCATION_TYPE AS name_education_type,  -- Highest education
    NAME_FAMILY_STATUS AS name_family_status,  -- Family status
    NAME_HOUSING_TYPE AS name_housing_type,  -- How the applicant lives: own, rented, with parents
    REGION_POPULATION_RELATIVE AS region_population_relative,  -- Population of the home region, normalised
    DAYS_REGISTRATION AS days_registration,  -- Days from the last change of the registration to the application, negative
    DAYS_ID_PUBLISH AS days_id_publish,  -- Days from the last change of the identity document to the application, negative
    OWN_CAR_AGE AS own_car_age,  -- Age of the car in years
    FLAG_MOBIL AS flag_mobil,  -- 1 where a mobile phone was given
    FLAG_EMP_PHONE AS flag_emp_phone,  -- 1 where a work phone was given
    FLAG_WORK_PHONE AS flag_work_phone,  -- 1 where a second work phone was given
    FLAG_CONT_MOBILE AS flag_cont_mobile,  -- 1 where the mobile phone could be reached
    FLAG_PHONE AS flag_phone,  -- 1 where a home phone was given
    FLAG_EMAIL AS flag_email,  -- 1 where an e-mail address was given
    OCCUPATION_TYPE AS occupation_type,  -- Occupation
    CNT_FAM_MEMBERS AS cnt_fam_members,  -- Number of family members
    REGION_RATING_CLIENT AS region_rating_client,  -- Home Credit's rating of the home region (1, 2, 3)
    REGION_RATING_CLIENT_W_CITY AS region_rating_client_w_city,  -- The same rating, with the city taken into account
    WEEKDAY_APPR_PROCESS_START AS weekday_appr_process_start,  -- Weekday of the application
    HOUR_APPR_PROCESS_START AS hour_appr_process_start,  -- Hour of the application
    REG_REGION_NOT_LIVE_REGION AS reg_region_not_live_region,  -- 1 where permanent and contact address lie in different regions
    REG_REGION_NOT_WORK_REGION AS reg_region_not_work_region,  -- 1 where permanent and work address lie in different regions
    LIVE_REGION_NOT_WORK_REGION AS live_region_not_work_region,  -- 1 where contact and work address lie in different regions
    REG_CITY_NOT_LIVE_CITY AS reg_city_not_live_city,  -- 1 where permanent and contact address lie in different cities
    REG_CITY_NOT_WORK_CITY AS reg_city_not_work_city,  -- 1 where permanent and work address lie in different cities
    LIVE_CITY_NOT_WORK_CITY AS live_city_not_work_city,  -- 1 where contact and work address lie in different cities
    ORGANIZATION_TYPE AS organization_type,  -- Kind of organisation the applicant works for
    EXT_SOURCE_1 AS ext_source_1,  -- Score of the first external source, 0 to 1
    EXT_SOURCE_2 AS ext_source_2,  -- Score of the second external source, 0 to 1
    EXT_SOURCE_3 AS ext_source_3,  -- Score of the third external source, 0 to 1
    APARTMENTS_AVG AS apartments_avg,  -- Home building: size of the apartment, average, normalised
    BASEMENTAREA_AVG AS basementarea_avg,  -- Home building: basement area, average, normalised
    YEARS_BEGINEXPLUATATION_AVG AS years_beginexpluatation_avg,  -- Home building: years in use, average, normalised
    YEARS_BUILD_AVG AS years_build_avg,  -- Home building: age, average, normalised
    COMMONAREA_AVG AS commonarea_avg,  -- Home building: common area, average, normalised
    ELEVATORS_AVG AS elevators_avg,  -- Home building: elevators, average, normalised
    ENTRANCES_AVG AS entrances_avg,  -- Home building: entrances, average, normalised
    FLOORSMAX_AVG AS floorsmax_avg,  -- Home building: highest floor, average, normalised
    FLOORSMIN_AVG AS floorsmin_avg,  -- Home building: lowest floor, average, normalised
    LANDAREA_AVG AS landarea_avg,  -- Home building: land area, average, normalised
    LIVINGAPARTMENTS_AVG AS livingapartments_avg,  -- Home building: living apartments, average, normalised
    LIVINGAREA_AVG AS livingarea_avg,  -- Home building: living area, average, normalised
    NONLIVINGAPARTMENTS_AVG AS nonlivingapartments_avg,  -- Home building: apartments not lived in, average, normalised
    NONLIVINGAREA_AVG AS nonlivingarea_avg,  -- Home building: area not lived in, average, normalised
    APARTMENTS_MODE AS apartments_mode,  -- Home building: size of the apartment, mode, normalised
    BASEMENTAREA_MODE AS basementarea_mode,  -- Home building: basement area, mode, normalised
    YEARS_BEGINEXPLUATATION_MODE AS years_beginexpluatation_mode,  -- Home building: years in use, mode, normalised
    YEARS_BUILD_MODE AS years_build_mode,  -- Home building: age, mode, normalised
    COMMONAREA_MODE AS commonarea_mode,  -- Home building: common area, mode, normalised
    ELEVATORS_MODE AS elevators_mode,  -- Home building: elevators, mode, normalised
    ENTRANCES_MODE AS entrances_mode,  -- Home building: entrances, mode, normalised
    FLOORSMAX_MODE AS floorsmax_mode,  -- Home building: highest floor, mode, normalised
    FLOORSMIN_MODE AS floorsmin_mode,  -- Home building: lowest floor, mode, normalised
    LANDAREA_MODE AS landarea_mode,  -- Home building: land area, mode, normalised
    LIVINGAPARTMENTS_MODE AS livingapartments_mode,  -- Home building: living apartments, mode, normalised
    LIVINGAREA_MODE AS livingarea_mode,  -- Home building: living area, mode, normalised
    NONLIVINGAPARTMENTS_MODE AS nonlivingapartments_mode,  -- Home building: apartments not lived in, mode, normalised
    NONLIVINGAREA_MODE AS nonlivingarea_mode,  -- Home building: area not lived in, mode, normalised
    APARTMENTS_MEDI AS apartments_medi,  -- Home building: size of the apartment, median, normalised
    BASEMENTAREA_MEDI AS basementarea_medi,  -- Home building: basement area, median, normalised
    YEARS_BEGINEXPLUATATION_MEDI AS years_beginexpluatation_medi,  -- Home building: years in use, median, normalised
    YEARS_BUILD_MEDI AS years_build_medi,  -- Home building: age, median, normalised
    COMMONAREA_MEDI AS commonarea_medi,  -- Home building: common area, median, normalised
    ELEVATORS_MEDI AS elevators_medi,  -- Home building: elevators, median, normalised
    ENTRANCES_MEDI AS entrances_medi,  -- Home building: entrances, median, normalised
    FLOORSMAX_MEDI AS floorsmax_medi,  -- Home building: highest floor, median, normalised
    FLOORSMIN_MEDI AS floorsmin_medi,  -- Home building: lowest floor, median, normalised
    LANDAREA_MEDI AS landarea_medi,  -- Home building: land area, median, normalised
    LIVINGAPARTMENTS_MEDI AS livingapartments_medi,  -- Home building: living apartments, median, normalised
    LIVINGAREA_MEDI AS livingarea_medi,  -- Home building: living area, median, normalised
    NONLIVINGAPARTMENTS_MEDI AS nonlivingapartments_medi,  -- Home building: apartments not lived in, median, normalised
    NONLIVINGAREA_MEDI AS nonlivingarea_medi,  -- Home building: area not lived in, median, normalised
    FONDKAPREMONT_MODE AS fondkapremont_mode,  -- Home building: who pays for repairs
    HOUSETYPE_MODE AS housetype_mode,  -- Home building: kind of house
    TOTALAREA_MODE AS totalarea_mode,  -- Home building: total area, normalised
    WALLSMATERIAL_MODE AS wallsmaterial_mode,  -- Home building: material of the walls
    EMERGENCYSTATE_MODE AS emergencystate_mode,  -- Home building: whether in a state of emergency
    OBS_30_CNT_SOCIAL_CIRCLE AS obs_30_cnt_social_circle,  -- People around the applicant observed for 30 days past due
    DEF_30_CNT_SOCIAL_CIRCLE AS def_30_cnt_social_circle,  -- People around the applicant that were 30 days past due
    OBS_60_CNT_SOCIAL_CIRCLE AS obs_60_cnt_social_circle,  -- People around the applicant observed for 60 days past due
    DEF_60_CNT_SOCIAL_CIRCLE AS def_60_cnt_social_circle,  -- People around the applicant that were 60 days past due
    DAYS_LAST_PHONE_CHANGE AS days_last_phone_change,  -- Days from the last change of phone to the application, negative
    FLAG_DOCUMENT_2 AS flag_document_2,  -- 1 where document 2 was given
    FLAG_DOCUMENT_3 AS flag_document_3,  -- 1 where document 3 was given
    FLAG_DOCUMENT_4 AS flag_document_4,  -- 1 where document 4 was given
    FLAG_DOCUMENT_5 AS flag_document_5,  -- 1 where document 5 was given
    FLAG_DOCUMENT_6 AS flag_document_6,  -- 1 where document 6 was given
    FLAG_DOCUMENT_7 AS flag_document_7,  -- 1 where document 7 was given
    FLAG_DOCUMENT_8 AS flag_document_8,  -- 1 where document 8 was given
    FLAG_DOCUMENT_9 AS flag_document_9,  -- 1 where document 9 was given
    FLAG_DOCUMENT_10 AS flag_document_10,  -- 1 where document 10 was given
    FLAG_DOCUMENT_11 AS flag_document_11,  -- 1 where document 11 was given
    FLAG_DOCUMENT_12 AS flag_document_12,  -- 1 where document 12 was given
    FLAG_DOCUMENT_13 AS flag_document_13,  -- 1 where document 13 was given
    FLAG_DOCUMENT_14 AS flag_document_14,  -- 1 where document 14 was given
    FLAG_DOCUMENT_15 AS flag_document_15,  -- 1 where document 15 was given
    FLAG_DOCUMENT_16 AS flag_document_16,  -- 1 where document 16 was given
    FLAG_DOCUMENT_17 AS flag_document_17,  -- 1 where document 17 was given
    FLAG_DOCUMENT_18 AS flag_document_18,  -- 1 where document 18 was given
    FLAG_DOCUMENT_19 AS flag_document_19,  -- 1 where document 19 was given
    FLAG_DOCUMENT_20 AS flag_document_20,  -- 1 where document 20 was given
    FLAG_DOCUMENT_21 AS flag_document_21,  -- 1 where document 21 was given
    AMT_REQ_CREDIT_BUREAU_HOUR AS amt_req_credit_bureau_hour,  -- Enquiries to the credit bureau in the hour before the application
    AMT_REQ_CREDIT_BUREAU_DAY AS amt_req_credit_bureau_day,  -- Enquiries to the credit bureau in the day before that
    AMT_REQ_CREDIT_BUREAU_WEEK AS amt_req_credit_bureau_week,  -- Enquiries to the credit bureau in the week before that
    AMT_REQ_CREDIT_BUREAU_MON AS amt_req_credit_bureau_mon,  -- Enquiries to the credit bureau in the month before that
    AMT_REQ_CREDIT_BUREAU_QRT AS amt_req_credit_bureau_qrt,  -- Enquiries to the credit bureau in the quarter before that
    AMT_REQ_CREDIT_BUREAU_YEAR AS amt_req_credit_bureau_year,  -- Enquiries to the credit bureau in the year before that
    FLOOR(age) AS age_years,  -- Age in whole years
    employed AS days_employed,  -- Days in the present job; missing where not employed
    CASE WHEN DAYS_EMPLOYED = 365243 THEN 1 ELSE 0 END AS not_employed,  -- 1 where the applicant has no employment
    employed / NULLIF(-DAYS_BIRTH, 0) AS employed_to_age,  -- Share of the life spent in the present job
    CAST(DAYS_REGISTRATION AS DOUBLE) / NULLIF(DAYS_BIRTH, 0) AS registration_to_age,  -- Share of the life since the last change of the registration
    CAST(DAYS_ID_PUBLISH AS DOUBLE) / NULLIF(DAYS_BIRTH, 0) AS id_publish_to_age,  -- Share of the life since the last change of the identity document
    CAST(DAYS_LAST_PHONE_CHANGE AS DOUBLE) / NULLIF(DAYS_BIRTH, 0) AS phone_change_to_age,  -- Share of the life since the last change of phone
    CAST(OWN_CAR_AGE AS DOUBLE) / NULLIF(age, 0) AS car_age_to_age,  -- Age of the car over age of the applicant
    CAST(OWN_CAR_AGE AS DOUBLE) * 365.25 / NULLIF(employed, 0) AS car_age_to_employed,  -- Age of the car over time in the present job
    credit / NULLIF(annuity, 0) AS credit_to_annuity,  -- Credit over annuity: about the number of annuities
    credit / NULLIF(income, 0) AS credit_to_income,  -- Credit over yearly income
    annuity / NULLIF(income, 0) AS annuity_to_income,  -- Annuity over yearly income
    goods / NULLIF(credit, 0) AS goods_to_credit,  -- Price of the goods over credit
    goods / NULLIF(income, 0) AS goods_to_income,  -- Price of the goods over yearly income
    AMT_CREDIT - AMT_GOODS_PRICE AS credit_above_goods,  -- Credit beyond the price of the goods: fees and insurance
    income / NULLIF(CNT_FAM_MEMBERS, 0) AS income_per_member,  -- Yearly income for each family member
    income / (CNT_CHILDREN + 1) AS income_per_child,  -- Yearly income over the number of children plus one
    CAST(CNT_CHILDREN AS DOUBLE) / NULLIF(CNT_FAM_MEMBERS, 0) AS children_to_members,  -- Share of the children in the family
    AMT_INCOME_TOTAL - AMT_ANNUITY AS income_after_annuity,  -- Yearly income less one annuity
    income / NULLIF(age, 0) AS income_to_age,  -- Yearly income over age in years
    income / NULLIF(employed, 0) AS income_to_employed,  -- Yearly income over days in the present job
    credit / NULLIF(age, 0) AS credit_to_age,  -- Credit over age in years
    annuity / NULLIF(age, 0) AS annuity_to_age,  -- Annuity over age in years
    scores AS ext_source_count,  -- How many of the three external scores are known
    score_sum / NULLIF(scores, 0) AS ext_source_mean,  -- Mean of the known external scores
    CASE WHEN scores > 0 THEN score_min END AS ext_source_min,  -- Lowest of the known external scores
    CASE WHEN scores > 0 THEN score_max END AS ext_source_max,  -- Highest of the known external scores
    CASE WHEN scores > 1 THEN score_max - score_min END AS ext_source_range,  -- Highest less lowest external score, where two or more are known
    EXT_SOURCE_1 * EXT_SOURCE_2 * EXT_SOURCE_3 AS ext_source_product,  -- Product of the three external scores
    EXT_SOURCE_1 * EXT_SOURCE_2 AS ext_source_1x2,  -- Product of the first and the second external score
    EXT_SOURCE_1 * EXT_SOURCE_3 AS ext_source_1x3,  -- Product of the first and the third external score
    EXT_SOURCE_2 * EXT_SOURCE_3 AS ext_source_2x3,  -- Product of the second and the third external score
    (2 * COALESCE(EXT_SOURCE_1, 0) + 3 * COALESCE(EXT_SOURCE_2, 0) + 4 * COALESCE(EXT_SOURCE_3, 0))
        / NULLIF(
            CASE WHEN EXT_SOURCE_1 IS NULL THEN 0 ELSE 2 END
            + CASE WHEN EXT_SOURCE_2 IS NULL THEN 0 ELSE 3 END
            + CASE WHEN EXT_SOURCE_3 IS NULL THEN 0 ELSE 4 END, 0
        ) AS ext_source_weighted,  -- Mean of the known external scores with the weights 2, 3 and 4
    EXT_SOURCE_1 / NULLIF(age, 0) AS ext_source_1_to_age,  -- First external score over age in years
    EXT_SOURCE_3 / NULLIF(age, 0) AS ext_source_3_to_age,  -- Third external score over age in years
    score_sum / NULLIF(scores, 0) * annuity / NULLIF(credit, 0) AS ext_source_mean_to_term,  -- Mean external score times annuity over credit
    FLAG_DOCUMENT_2 + FLAG_DOCUMENT_3 + FLAG_DOCUMENT_4 + FLAG_DOCUMENT_5 + FLAG_DOCUMENT_6
        + FLAG_DOCUMENT_7 + FLAG_DOCUMENT_8 + FLAG_DOCUMENT_9 + FLAG_DOCUMENT_10 + FLAG_DOCUMENT_11
        + FLAG_DOCUMENT_12 + FLAG_DOCUMENT_13 + FLAG_DOCUMENT_14 + FLAG_DOCUMENT_15 + FLAG_DOCUMENT_16
        + FLAG_DOCUMENT_17 + FLAG_DOCUMENT_18 + FLAG_DOCUMENT_19 + FLAG_DOCUMENT_20 + FLAG_DOCUMENT_21
        AS documents_given,  -- Number of documents given, of twenty
    FLAG_MOBIL + FLAG_EMP_PHONE + FLAG_WORK_PHONE + FLAG_CONT_MOBILE + FLAG_PHONE + FLAG_EMAIL
        AS contacts_given,  -- Number of ways to reach the applicant, of six
    REG_REGION_NOT_LIVE_REGION + REG_REGION_NOT_WORK_REGION + LIVE_REGION_NOT_WORK_REGION
        + REG_CITY_NOT_LIVE_CITY + REG_CITY_NOT_WORK_CITY + LIVE_CITY_NOT_WORK_CITY
        AS addresses_differ,  -- How many pairs of addresses differ, of six
    CAST(DEF_30_CNT_SOCIAL_CIRCLE AS DOUBLE) / NULLIF(OBS_30_CNT_SOCIAL_CIRCLE, 0)
        AS circle_default_share_30,  -- Share of the observed people around the applicant that were 30 days past due
    CAST(DEF_60_CNT_SOCIAL_CIRCLE AS DOUBLE) / NULLIF(OBS_60_CNT_SOCIAL_CIRCLE, 0)
        AS circle_default_share_60,  -- Share of the observed people around the applicant that were 60 days past due
    AMT_REQ_CREDIT_BUREAU_HOUR + AMT_REQ_CREDIT_BUREAU_DAY + AMT_REQ_CREDIT_BUREAU_WEEK
        + AMT_REQ_CREDIT_BUREAU_MON + AMT_REQ_CREDIT_BUREAU_QRT + AMT_REQ_CREDIT_BUREAU_YEAR
        AS enquiries,  -- Enquiries to the credit bureau in the year before the application
    CASE WHEN APARTMENTS_AVG IS NULL THEN 0 ELSE 1 END
        + CASE WHEN BASEMENTAREA_AVG IS NULL THEN 0 ELSE 1 END
        + CASE WHEN YEARS_BEGINEXPLUATATION_AVG IS NULL THEN 0 ELSE 1 END
        + CASE WHEN YEARS_BUILD_AVG IS NULL THEN 0 ELSE 1 END
        + CASE WHEN COMMONAREA_AVG IS NULL THEN 0 ELSE 1 END
        + CASE WHEN ELEVATORS_AVG IS NULL THEN 0 ELSE 1 END
        + CASE WHEN ENTRANCES_AVG IS NULL THEN 0 ELSE 1 END
        + CASE WHEN FLOORSMAX_AVG IS NULL THEN 0 ELSE 1 END
        + CASE WHEN FLOORSMIN_AVG IS NULL THEN 0 ELSE 1 END
        + CASE WHEN LANDAREA_AVG IS NULL THEN 0 ELSE 1 END
        + CASE WHEN LIVINGAPARTMENTS_AVG IS NULL THEN 0 ELSE 1 END
        + CASE WHEN LIVINGAREA_AVG IS NULL THEN 0 ELSE 1 END
        + CASE WHEN NONLIVINGAPARTMENTS_AVG IS NULL THEN 0 ELSE 1 END
        + CASE WHEN NONLIVINGAREA_AVG IS NULL THEN 0 ELSE 1 END
        AS building_known  -- How many of the fourteen averages of the home building are known
FROM cleaned
