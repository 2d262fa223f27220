-- For docker-compose.yml: a channel with its chat type and owner, so that a message can be inserted at once.

INSERT INTO slackchat_chattype (name, publish_path, render_to_html, kwargs_in_threads) VALUES ('sample', 'samples', false, false);

INSERT INTO slackchat_user (api_id, first_name, last_name, image, title) VALUES ('U0SAMPLE', 'Sam', 'Ple', '', 'Reporter');

INSERT INTO slackchat_channel (id, api_id, team_id, title, publish_path, live, published, chat_type_id, owner_id)
SELECT 'c0ffee00-0000-4000-8000-000000000001', 'C0SAMPLE', 'T0SAMPLE', 'A sample chat', 'first', true, false, chattype.id, owner.id
FROM slackchat_chattype chattype, slackchat_user owner;
