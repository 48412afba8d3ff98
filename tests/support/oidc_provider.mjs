// An identity provider for tests: node oidc_provider.mjs PORT CONFIG
//
// CONFIG is a JSON file with `clients` as oidc-provider takes them, `methods` by which they may
// sign in, and `people`: claims by login name, read again at each sign-in. The npm package
// oidc-provider is in the folder that OIDC_PROVIDER names.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [port, file] = process.argv.slice(2);
const read = () => JSON.parse(readFileSync(file, "utf8"));
const { resolve } = createRequire(join(process.env.OIDC_PROVIDER, "package.json"));
const { Provider } = await import(pathToFileURL(resolve("oidc-provider")));

const { clients, methods } = read();
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients,
  clientAuthMethods: methods,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...read().people[id] }) }),
  claims: {
    openid: ["sub"],
    email: ["email", "email_verified"],
    profile: ["preferred_username", "groups"],
  },
  features: { devInteractions: { enabled: true } },
  cookies: { keys: ["for-the-tests"] },
});
provider.listen(Number(port), "127.0.0.1");
