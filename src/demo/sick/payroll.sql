-- The payroll report: ranks all salaries by department and counts people four ways. Each sort is more than 1 MB of
-- work_mem holds, so it goes to disk.
SELECT department,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY salary) AS median,
       count(DISTINCT badge) AS badges,
       count(DISTINCT name) AS names,
       count(DISTINCT md5(badge || name)) AS seals,
       string_agg(DISTINCT left(badge, 4), ',' ORDER BY left(badge, 4)) AS prefixes,
       max(rank) AS people
FROM (SELECT *, rank() OVER (PARTITION BY department ORDER BY salary DESC, name) AS rank FROM employees) AS ranked
GROUP BY department
ORDER BY department
