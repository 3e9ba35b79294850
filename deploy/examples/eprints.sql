-- EPrints 3.4 (publication flavour) on MySQL or MariaDB: one row per eprint with a DOI, for platform = "sql".
-- Names are those of the default fields: compare them with your cfg.d. To be run once by the database's owner:
--   mysql eprints < eprints.sql
-- A publisher's DOI may stand in the same field; syncd minds only DOIs under the account's prefixes.

CREATE OR REPLACE VIEW datacite_records AS
SELECT e.eprintid AS record_key,
       e.id_number AS doi,
       CASE WHEN e.eprint_status = 'archive' AND COALESCE(e.metadata_visibility, 'show') = 'hide' THEN 'hidden'
            ELSE e.eprint_status END AS status,
       CONCAT(LPAD(e.lastmod_year, 4, '0'), '-', LPAD(COALESCE(e.lastmod_month, 1), 2, '0'), '-',
              LPAD(COALESCE(e.lastmod_day, 1), 2, '0'), ' ', LPAD(COALESCE(e.lastmod_hour, 0), 2, '0'), ':',
              LPAD(COALESCE(e.lastmod_minute, 0), 2, '0'), ':', LPAD(COALESCE(e.lastmod_second, 0), 2, '0')) AS modified,
       CONCAT('[', JSON_OBJECT('title', e.title), ']') AS titles,
       (SELECT CONCAT('[', GROUP_CONCAT(JSON_OBJECT(
                   'name', CONCAT_WS(', ', n.creators_name_family, n.creators_name_given),
                   'nameType', 'Personal', 'familyName', n.creators_name_family, 'givenName', n.creators_name_given,
                   'orcid', o.creators_orcid
               ) ORDER BY n.pos), ']')
          FROM eprint_creators_name n
          LEFT JOIN eprint_creators_orcid o ON o.eprintid = n.eprintid AND o.pos = n.pos
         WHERE n.eprintid = e.eprintid) AS creators,
       e.publisher,
       COALESCE(e.date_year, e.datestamp_year) AS publication_year,
       CASE e.type WHEN 'article' THEN 'JournalArticle' WHEN 'book_section' THEN 'BookChapter'
                   WHEN 'conference_item' THEN 'ConferencePaper' WHEN 'book' THEN 'Book'
                   WHEN 'thesis' THEN 'Dissertation' WHEN 'artefact' THEN 'PhysicalObject'
                   WHEN 'exhibition' THEN 'InteractiveResource' WHEN 'teaching_resource' THEN 'InteractiveResource'
                   WHEN 'composition' THEN 'Sound' WHEN 'audio' THEN 'Sound' WHEN 'performance' THEN 'Event'
                   WHEN 'image' THEN 'Image' WHEN 'video' THEN 'Audiovisual' WHEN 'dataset' THEN 'Dataset'
                   WHEN 'data_collection' THEN 'Dataset' WHEN 'collection' THEN 'Collection'
                   WHEN 'monograph' THEN 'Text' WHEN 'patent' THEN 'Text' WHEN 'experiment' THEN 'Text'
                   ELSE 'Other' END AS types,
       (SELECT CONCAT('[', GROUP_CONCAT(JSON_OBJECT('subject', s.subject_name_name) ORDER BY l.pos), ']')
          FROM eprint_subjects l JOIN subject_name_name s ON s.subjectid = l.subjects AND s.pos = 0
         WHERE l.eprintid = e.eprintid) AS subjects,
       e.abstract AS descriptions
  FROM eprint e
 WHERE e.id_number LIKE '10.%/%';
