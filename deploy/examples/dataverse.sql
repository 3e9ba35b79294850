-- Dataverse 6: one row per dataset with a DOI of its own, for platform = "sql" (see dataverse.toml).
-- To be run once by the database's owner, in a schema of its own:  psql dvndb -f dataverse.sql
-- The newest released version counts; a draft beside it is never read. File DOIs are not covered.

CREATE SCHEMA IF NOT EXISTS syncd;

CREATE OR REPLACE VIEW syncd.datacite_records AS
WITH version AS (
    SELECT v.*, row_number() OVER (
               PARTITION BY v.dataset_id, v.versionstate ORDER BY v.versionnumber DESC, v.minorversionnumber DESC
           ) AS place
      FROM datasetversion v
), dataset_state AS (
    SELECT o.id, o.authority || COALESCE(o.separator, '/') || o.identifier AS doi, o.publicationdate,
           (SELECT r.id FROM version r WHERE r.dataset_id = o.id AND r.versionstate = 'RELEASED' AND r.place = 1) AS released,
           (SELECT w.id FROM version w WHERE w.dataset_id = o.id AND w.versionstate = 'DRAFT' AND w.place = 1) AS draft,
           (SELECT max(GREATEST(o.modificationtime, v.lastupdatetime, v.releasetime))
              FROM datasetversion v WHERE v.dataset_id = o.id) AS modified
      FROM dvobject o JOIN dataset d ON d.id = o.id
     WHERE o.dtype = 'Dataset' AND o.protocol = 'doi' AND d.harvestingclient_id IS NULL
), shown AS (
    SELECT s.*, COALESCE(s.released, CASE WHEN s.publicationdate IS NULL THEN s.draft END) AS version_id
      FROM dataset_state s
), field AS (
    SELECT f.id, f.datasetversion_id, f.parentdatasetfieldcompoundvalue_id AS parent, t.name
      FROM datasetfield f JOIN datasetfieldtype t ON t.id = f.datasetfieldtype_id
)
SELECT s.id AS record_key,
       s.doi,
       CASE WHEN s.released IS NOT NULL THEN 'released'
            WHEN s.publicationdate IS NULL AND s.draft IS NOT NULL THEN 'draft'
            ELSE 'deaccessioned' END AS status,
       s.modified,
       (SELECT json_agg(json_build_object('title', v.value, 'titleType', k.kind) ORDER BY k.place, v.displayorder)
          FROM (VALUES ('title', NULL, 1), ('subtitle', 'Subtitle', 2), ('alternativeTitle', 'AlternativeTitle', 3))
               AS k (name, kind, place)
          JOIN field f ON f.name = k.name AND f.datasetversion_id = s.version_id
          JOIN datasetfieldvalue v ON v.datasetfield_id = f.id) AS titles,
       (SELECT json_agg(json_build_object(
                   'name', part.name, 'affiliation', part.affiliation,
                   'orcid', CASE WHEN part.scheme = 'ORCID' THEN part.identifier END
               ) ORDER BY c.displayorder)
          FROM field f JOIN datasetfieldcompoundvalue c ON c.parentdatasetfield_id = f.id
          CROSS JOIN LATERAL (
              SELECT max(v.value) FILTER (WHERE p.name = 'authorName') AS name,
                     max(v.value) FILTER (WHERE p.name = 'authorAffiliation') AS affiliation,
                     max(v.value) FILTER (WHERE p.name = 'authorIdentifier') AS identifier,
                     max(w.strvalue) FILTER (WHERE p.name = 'authorIdentifierScheme') AS scheme
                FROM field p
                LEFT JOIN datasetfieldvalue v ON v.datasetfield_id = p.id
                LEFT JOIN datasetfield_controlledvocabularyvalue l ON l.datasetfield_id = p.id
                LEFT JOIN controlledvocabularyvalue w ON w.id = l.controlledvocabularyvalues_id
               WHERE p.parent = c.id
          ) AS part
         WHERE f.name = 'author' AND f.datasetversion_id = s.version_id) AS creators,
       (SELECT json_agg(json_build_object('subject', w.strvalue) ORDER BY w.strvalue)
          FROM field f JOIN datasetfield_controlledvocabularyvalue l ON l.datasetfield_id = f.id
          JOIN controlledvocabularyvalue w ON w.id = l.controlledvocabularyvalues_id
         WHERE f.name = 'subject' AND f.datasetversion_id = s.version_id) AS subjects,
       (SELECT json_agg(json_build_object('description', regexp_replace(v.value, '<[^>]+>', '', 'g'),
                                          'descriptionType', 'Abstract') ORDER BY c.displayorder)
          FROM field f JOIN datasetfieldcompoundvalue c ON c.parentdatasetfield_id = f.id
          JOIN field p ON p.parent = c.id AND p.name = 'dsDescriptionValue'
          JOIN datasetfieldvalue v ON v.datasetfield_id = p.id
         WHERE f.name = 'dsDescription' AND f.datasetversion_id = s.version_id) AS descriptions,
       EXTRACT(YEAR FROM COALESCE(s.publicationdate, s.modified))::int AS publication_year,
       'Dataset' AS types,
       (SELECT v.versionnumber || '.' || v.minorversionnumber FROM datasetversion v WHERE v.id = s.version_id) AS version,
       (SELECT json_build_array(json_build_object('rights', l.name, 'rightsUri', l.uri))
          FROM datasetversion v JOIN termsofuseandaccess t ON t.id = v.termsofuseandaccess_id
          JOIN license l ON l.id = t.license_id WHERE v.id = s.version_id) AS rights_list
  FROM shown s;
