// payloads.mjs - what a server is sent to be measured: pull requests as GitHub describes them, each with a text of its own.
import { existsSync, writeFileSync } from 'node:fs';

const userLinks = ['followers', 'following{/other_user}', 'gists{/gist_id}', 'starred{/owner}{/repo}', 'subscriptions', 'orgs', 'repos',
  'events{/privacy}', 'received_events'];
const repositoryLinks = ['forks', 'keys{/key_id}', 'collaborators{/collaborator}', 'teams', 'hooks', 'issues/events{/number}', 'events',
  'assignees{/user}', 'branches{/branch}', 'tags', 'git/blobs{/sha}', 'git/tags{/sha}', 'git/refs{/sha}', 'git/trees{/sha}',
  'statuses/{sha}', 'languages', 'stargazers', 'contributors', 'subscribers', 'subscription', 'commits{/sha}', 'git/commits{/sha}',
  'comments{/number}', 'issues/comments{/number}', 'contents/{+path}', 'compare/{base}...{head}', 'merges', '{archive_format}{/ref}',
  'downloads', 'issues{/number}', 'pulls{/number}', 'milestones{/number}', 'notifications{?since,all,participating}', 'labels{/name}',
  'releases{/id}', 'deployments'];
const linkName = (path) => `${path.replace(/\{.*?\}/g, "").replace(/[^a-z]+/g, "_").replace(/^_|_$/g, "") || "archive"}_url`;
const links = (base, paths) => Object.fromEntries(paths.map((path) => [linkName(path), `${base}/${path}`]));

function user(login, id) {
  return { login, id, node_id: `MDQ6VXNlcj${id}`, avatar_url: `https://avatars.githubusercontent.com/u/${id}?v=4`, gravatar_id: '',
    url: `https://api.github.com/users/${login}`, html_url: `https://github.com/${login}`,
    ...links(`https://api.github.com/users/${login}`, userLinks), type: 'User', site_admin: false };
}

const repository = {
  id: 42, node_id: 'MDEwOlJlcG9zaXRvcnk0Mg==', name: 'api', full_name: 'acme/api', private: true, owner: user('acme', 21031067),
  html_url: 'https://github.com/acme/api', description: 'What customers and our own programs talk to', fork: false,
  url: 'https://api.github.com/repos/acme/api', ...links('https://api.github.com/repos/acme/api', repositoryLinks),
  created_at: '2019-05-15T15:19:25Z', updated_at: '2026-01-02T03:00:00Z', pushed_at: '2026-01-02T03:01:00Z',
  git_url: 'git://github.com/acme/api.git', ssh_url: 'git@github.com:acme/api.git', clone_url: 'https://github.com/acme/api.git',
  svn_url: 'https://github.com/acme/api', homepage: null, size: 48210, stargazers_count: 12, watchers_count: 12, language: 'TypeScript',
  has_issues: true, has_projects: true, has_downloads: true, has_wiki: true, has_pages: false, has_discussions: false, forks_count: 3,
  mirror_url: null, archived: false, disabled: false, open_issues_count: 87, license: null, allow_forking: true, is_template: false,
  web_commit_signoff_required: false, topics: ['api', 'billing', 'webhooks'], visibility: 'private', forks: 3, open_issues: 87,
  watchers: 12, default_branch: 'main', allow_squash_merge: true, allow_merge_commit: true, allow_rebase_merge: true,
  allow_auto_merge: true, delete_branch_on_merge: true, allow_update_branch: true,
};

// An opened pull request, 22 KB; columns: number, title, body, login, branch, commit.
function pullRequest() {
  const login = '{{3}}', page = 'https://github.com/acme/api/pull/{{0}}', api = 'https://api.github.com/repos/acme/api';
  const side = (ref, sha) => ({ label: `acme:${ref}`, ref, sha, user: user('acme', 21031067), repo: repository });
  const href = (url) => ({ href: url });
  return {
    action: 'opened', number: '{{0}}',
    pull_request: {
      url: `${api}/pulls/{{0}}`, id: '{{0}}', node_id: 'PR_kwDOCz{{0}}', html_url: page, diff_url: `${page}.diff`, patch_url: `${page}.patch`,
      issue_url: `${api}/issues/{{0}}`, number: '{{0}}', state: 'open', locked: false, title: '{{1}}', user: user(login, 5830831), body: '{{2}}',
      created_at: '2026-01-02T03:04:05Z', updated_at: '2026-01-02T03:04:05Z', closed_at: null, merged_at: null, merge_commit_sha: null,
      assignee: null, assignees: [], requested_reviewers: [user('grace', 1024025), user('edsger', 893021)],
      requested_teams: [], labels: [{ id: 1362934389, node_id: 'MDU6TGFiZWw', url: `${api}/labels/bug`, name: 'bug', color: 'd73a4a', default: true,
        description: 'It does not do what it should' }], milestone: null, draft: false, commits_url: `${api}/pulls/{{0}}/commits`,
      review_comments_url: `${api}/pulls/{{0}}/comments`, review_comment_url: `${api}/pulls/comments{/number}`,
      comments_url: `${api}/issues/{{0}}/comments`, statuses_url: `${api}/statuses/{{5}}`, head: side('{{4}}', '{{5}}'),
      base: side('main', 'f95f852bd8fca8fcc58a9a2d6c842781e32a215e'),
      _links: { self: href(`${api}/pulls/{{0}}`), html: href(page), issue: href(`${api}/issues/{{0}}`), comments: href(`${api}/issues/{{0}}/comments`),
        review_comments: href(`${api}/pulls/{{0}}/comments`), commits: href(`${api}/pulls/{{0}}/commits`), statuses: href(`${api}/statuses/{{5}}`) },
      author_association: 'CONTRIBUTOR', auto_merge: null, active_lock_reason: null, merged: false, mergeable: null, rebaseable: null,
      mergeable_state: 'unknown', merged_by: null, comments: 0, review_comments: 0, maintainer_can_modify: false, commits: 3, additions: 120,
      deletions: 34, changed_files: 7,
    },
    repository,
    organization: { login: 'acme', id: 21031067, node_id: 'MDEyOk9yZ2FuaXphdGlvbjIx', url: 'https://api.github.com/orgs/acme',
      description: 'Everything for coyotes' },
    sender: user(login, 5830831),
  };
}

// An event of a program; the same columns.
const buildFailed = { source: 'ci', sourceType: 'build.failed', sourceId: 'ci:build:{{0}}', title: '{{1}}', body: '{{2}}',
  occurredAt: '2026-01-02T03:04:05Z', actor: { id: 'ci:{{3}}', name: '{{3}}' }, metadata: { branch: '{{4}}', commit: '{{5}}' } };

const areas = ['billing', 'search', 'login', 'webhook', 'import', 'export', 'dashboard', 'scheduler', 'cache', 'upload', 'invoice', 'session',
  'notification', 'permission', 'migration', 'report'];
const things = ['retries', 'timeouts', 'rounding', 'pagination', 'locking', 'ordering', 'encoding', 'validation', 'rate limits', 'time zones',
  'duplicates', 'memory use', 'error texts', 'empty states', 'redirects', 'tokens'];
const verbs = ['Fix', 'Add', 'Remove', 'Simplify', 'Refactor', 'Speed up', 'Document', 'Test', 'Revert', 'Harden'];
const sentences = [
  (area, thing) => `The ${area} worker loses ${thing} when two requests arrive together.`,
  (area, thing) => `Customers of the ${area} page reported ${thing} since the last release.`,
  (area, thing) => `This moves ${thing} from \`src/${area}/index.ts\` into a function of its own.`,
  (area) => `Rolled out behind the flag ${area.toUpperCase()}_NEXT; no migration is needed.`,
  (area, thing) => `Measured on staging: p99 of ${area} falls from 840 ms to 120 ms, ${thing} included.`,
  (area, thing) => `Reviewers, please look at how ${thing} are counted in ${area}.`,
  (area) => `The integration tests of ${area} now run against a real database.`,
  (area, thing) => `Before, ${thing} were handled in three places of ${area}, each a little different.`,
];
const people = ['ada', 'grace', 'edsger', 'barbara', 'donald', 'margaret', 'alan', 'frances', 'ken', 'radia'];

// The same numbers for the same row in every run.
function generator(seed) {
  let state = (Math.imul(seed, 2654435761) ^ 0x9e3779b9) >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * limit);
  };
}

export const numberOf = (row) => 1000001 + row;

export function titleOf(row) {
  const random = generator(row);
  const [verb, thing, area] = [verbs, things, areas].map((list) => list[random(list.length)]);
  return `${verb} ${thing} of ${area} after ERR_${numberOf(row).toString(36).toUpperCase()}`;
}

function columns(row) {
  const random = generator(row + 7), one = (list) => list[random(list.length)];
  const area = one(areas), text = Array.from({ length: 6 + random(10) }, () => one(sentences)(area, one(things)));
  const body = `## Why\n\n${text.slice(0, 4).join(" ")}\n\n## What\n\n${text.slice(4).join("\n- ")}`;
  const sha = Array.from({ length: 5 }, () => random(0xffffffff).toString(16).padStart(8, '0')).join('');
  return [numberOf(row), titleOf(row), body, one(people), `${area}-${row}`, sha].map((value) => JSON.stringify(String(value)).slice(1, -1));
}

export function eventOf(row) {
  const values = columns(row);
  return JSON.stringify(buildFailed).replace(/\{\{(\d)\}\}/g, (_, column) => values[Number(column)]);
}

// Files for bench_post in `directory`: the templates and `count` rows.
export function writePayloads(directory, count) {
  const files = { pullRequest: `${directory}/pull-request.json`, event: `${directory}/event.json`, rows: `${directory}/rows-${count}` };
  const numbers = (template) => JSON.stringify(template).replace(/"(id|number)":"\{\{0\}\}"/g, '"$1":{{0}}');
  writeFileSync(files.pullRequest, numbers(pullRequest()));
  writeFileSync(files.event, JSON.stringify(buildFailed));
  if (!existsSync(files.rows)) writeFileSync(files.rows, Array.from({ length: count }, (_, row) => columns(row).join('\t') + '\n').join(''));
  return files;
}
