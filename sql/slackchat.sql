-- The tables of the chat application (django-slackchat-serializer 1.1) as its own migrations make them on PostgreSQL, for
-- the demo and the tests. An operator never runs this: the bridge finds these tables in place.
--
-- Only the serial ids have a default: the application fills in everything else itself, so plain SQL must as well.
-- Every foreign key is checked at commit and cascades nothing: the application deletes children itself, children first.

CREATE TABLE slackchat_chattype (
  id                serial PRIMARY KEY,
  name              varchar(255) NOT NULL,
  publish_path      varchar(300) NOT NULL,
  render_to_html    boolean NOT NULL,
  kwargs_in_threads boolean NOT NULL,
  "jsonSchema"      jsonb,
  "uiSchema"        jsonb
);
CREATE INDEX slackchat_chattype_name_10f94774 ON slackchat_chattype (name);
CREATE INDEX slackchat_chattype_name_10f94774_like ON slackchat_chattype (name varchar_pattern_ops);

CREATE TABLE slackchat_user (
  id         serial PRIMARY KEY,
  api_id     varchar(50) NOT NULL,
  first_name varchar(100),
  last_name  varchar(200),
  email      varchar(254),
  image      varchar(100) NOT NULL,
  title      varchar(255) NOT NULL
);

CREATE TABLE slackchat_channel (
  id               uuid PRIMARY KEY,
  api_id           varchar(15),
  team_id          varchar(15),
  title            varchar(150),
  introduction     text,
  meta_title       varchar(300),
  meta_description varchar(300),
  meta_image       varchar(200),
  publish_path     varchar(300) NOT NULL UNIQUE,
  publish_time     timestamptz,
  live             boolean NOT NULL,
  chat_type_id     integer NOT NULL CONSTRAINT slackchat_channel_chat_type_id_73853c8c_fk_slackchat
                     REFERENCES slackchat_chattype DEFERRABLE INITIALLY DEFERRED,
  owner_id         integer NOT NULL CONSTRAINT slackchat_channel_owner_id_bd849ff4_fk_slackchat_user_id
                     REFERENCES slackchat_user DEFERRABLE INITIALLY DEFERRED,
  extras           jsonb,
  published        boolean NOT NULL
);
CREATE INDEX slackchat_channel_api_id_4fed35d0 ON slackchat_channel (api_id);
CREATE INDEX slackchat_channel_api_id_4fed35d0_like ON slackchat_channel (api_id varchar_pattern_ops);
CREATE INDEX slackchat_channel_team_id_8235fbcb ON slackchat_channel (team_id);
CREATE INDEX slackchat_channel_team_id_8235fbcb_like ON slackchat_channel (team_id varchar_pattern_ops);
CREATE INDEX slackchat_channel_publish_path_27154813_like ON slackchat_channel (publish_path varchar_pattern_ops);
CREATE INDEX slackchat_channel_chat_type_id_73853c8c ON slackchat_channel (chat_type_id);
CREATE INDEX slackchat_channel_owner_id_bd849ff4 ON slackchat_channel (owner_id);

CREATE TABLE slackchat_argument (
  id           serial PRIMARY KEY,
  name         varchar(255) NOT NULL,
  "character"  varchar(100) NOT NULL,
  chat_type_id integer NOT NULL CONSTRAINT slackchat_argument_chat_type_id_e6f7fbe2_fk_slackchat
                 REFERENCES slackchat_chattype DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT slackchat_argument_character_chat_type_id_ddb50450_uniq UNIQUE ("character", chat_type_id)
);
CREATE INDEX slackchat_argument_name_a5181abb ON slackchat_argument (name);
CREATE INDEX slackchat_argument_name_a5181abb_like ON slackchat_argument (name varchar_pattern_ops);
CREATE INDEX slackchat_argument_chat_type_id_e6f7fbe2 ON slackchat_argument (chat_type_id);

CREATE TABLE slackchat_customcontenttemplate (
  id                  serial PRIMARY KEY,
  name                varchar(255) NOT NULL,
  search_string       varchar(255) NOT NULL,
  content_template    text,
  chat_type_id        integer NOT NULL CONSTRAINT slackchat_customcont_chat_type_id_fdba2a61_fk_slackchat
                        REFERENCES slackchat_chattype DEFERRABLE INITIALLY DEFERRED,
  argument_template   varchar(255),
  attachment_template jsonb,
  kwarg_template      jsonb
);
CREATE INDEX slackchat_customcontenttemplate_chat_type_id_fdba2a61 ON slackchat_customcontenttemplate (chat_type_id);

CREATE TABLE slackchat_message (
  id          serial PRIMARY KEY,
  "timestamp" timestamptz NOT NULL UNIQUE,
  text        text NOT NULL,
  channel_id  uuid NOT NULL CONSTRAINT slackchat_message_channel_id_4a08ba02_fk_slackchat_channel_id
                REFERENCES slackchat_channel DEFERRABLE INITIALLY DEFERRED,
  user_id     integer NOT NULL CONSTRAINT slackchat_message_user_id_3a26d09b_fk_slackchat_user_id
                REFERENCES slackchat_user DEFERRABLE INITIALLY DEFERRED,
  serialized  jsonb
);
CREATE INDEX slackchat_message_channel_id_4a08ba02 ON slackchat_message (channel_id);
CREATE INDEX slackchat_message_user_id_3a26d09b ON slackchat_message (user_id);

CREATE TABLE slackchat_reaction (
  id          serial PRIMARY KEY,
  "timestamp" timestamptz NOT NULL UNIQUE,
  reaction    varchar(150) NOT NULL,
  argument_id integer CONSTRAINT slackchat_reaction_argument_id_b68b5b7a_fk_slackchat
                REFERENCES slackchat_argument DEFERRABLE INITIALLY DEFERRED,
  message_id  integer NOT NULL CONSTRAINT slackchat_reaction_message_id_cf8d6535_fk_slackchat_message_id
                REFERENCES slackchat_message DEFERRABLE INITIALLY DEFERRED,
  user_id     integer NOT NULL CONSTRAINT slackchat_reaction_user_id_592b64f9_fk_slackchat_user_id
                REFERENCES slackchat_user DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX slackchat_reaction_argument_id_b68b5b7a ON slackchat_reaction (argument_id);
CREATE INDEX slackchat_reaction_message_id_cf8d6535 ON slackchat_reaction (message_id);
CREATE INDEX slackchat_reaction_user_id_592b64f9 ON slackchat_reaction (user_id);

CREATE TABLE slackchat_attachment (
  id                serial PRIMARY KEY,
  title             varchar(300),
  title_link        varchar(200),
  text              text,
  service_name      varchar(300),
  service_icon      varchar(200),
  service_url       varchar(200),
  image_url         varchar(200),
  image_width       smallint CHECK (image_width >= 0),
  image_height      smallint CHECK (image_height >= 0),
  video_html        text,
  video_html_width  smallint CHECK (video_html_width >= 0),
  video_html_height smallint CHECK (video_html_height >= 0),
  thumb_url         varchar(200),
  thumb_width       smallint CHECK (thumb_width >= 0),
  thumb_height      smallint CHECK (thumb_height >= 0),
  message_id        integer NOT NULL CONSTRAINT slackchat_attachment_message_id_1753d677_fk_slackchat
                      REFERENCES slackchat_message DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT slackchat_attachment_message_id_title_link_im_ff2c5e3d_uniq UNIQUE (message_id, title_link, image_url)
);
CREATE INDEX slackchat_attachment_message_id_1753d677 ON slackchat_attachment (message_id);

CREATE TABLE slackchat_keywordargument (
  id          serial PRIMARY KEY,
  "timestamp" timestamptz NOT NULL UNIQUE,
  key         varchar(30) NOT NULL,
  value       text NOT NULL,
  message_id  integer NOT NULL CONSTRAINT slackchat_keywordarg_message_id_fc60be53_fk_slackchat
                REFERENCES slackchat_message DEFERRABLE INITIALLY DEFERRED,
  user_id     integer NOT NULL CONSTRAINT slackchat_keywordargument_user_id_49228288_fk_slackchat_user_id
                REFERENCES slackchat_user DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX slackchat_keywordargument_key_1d881a40 ON slackchat_keywordargument (key);
CREATE INDEX slackchat_keywordargument_key_1d881a40_like ON slackchat_keywordargument (key varchar_pattern_ops);
CREATE INDEX slackchat_keywordargument_message_id_fc60be53 ON slackchat_keywordargument (message_id);
CREATE INDEX slackchat_keywordargument_user_id_49228288 ON slackchat_keywordargument (user_id);

CREATE TABLE slackchat_webhook (
  id       serial PRIMARY KEY,
  endpoint varchar(200) NOT NULL UNIQUE,
  verified boolean NOT NULL
);
CREATE INDEX slackchat_webhook_endpoint_09d77fb2_like ON slackchat_webhook (endpoint varchar_pattern_ops);
