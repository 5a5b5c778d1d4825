// models.test.mjs - the program beside a language model: what it asks, what it says about it, what it does without one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { directory, environment, json, lightfast } from './lightfast.mjs';

const key = 'sk-test-0123456789abcdef';

function settings(address) {
  return { LIGHTFAST_LLM_PROVIDER: 'anthropic', LIGHTFAST_LLM_BASE_URL: address, LIGHTFAST_LLM_API_KEY: key,
    LIGHTFAST_LLM_MODELS_DEFAULT: 'model-a', LIGHTFAST_LLM_MODELS_SUMMARY: 'model-b' };
}
const models = (doctor) => doctor.checks.find((check) => check.name === 'language models');

test('doctor says that no model is configured, or which ones, and never the key', (t) => {
  const dir = directory(t);
  assert.deepEqual(models(json(environment(dir), 'doctor')),
    { name: 'language models', status: 'ok', detail: 'none: classes and summaries go by rules' });
  const env = environment(dir, settings('http://127.0.0.1:9'));
  const finding = models(json(env, 'doctor'));
  assert.equal(finding.status, 'ok');
  assert.match(finding.detail, /^anthropic: classification by model-a,.* summary by model-b,/);
  for (const command of [['doctor'], ['config', 'check']]) {
    const { stdout, stderr } = lightfast(env, ...command, '--json');
    assert.ok(!(stdout + stderr).includes(key));
  }
});

test('a provider without a model stops the start with the name of the setting', (t) => {
  const { status, stderr } = lightfast(environment(directory(t), { LIGHTFAST_LLM_PROVIDER: 'openai' }), 'doctor');
  assert.equal(status, 1);
  assert.match(stderr, /llm\.models\.default/);
});
