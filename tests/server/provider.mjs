// A certified OpenID provider on this machine, for tests: node provider.mjs '{"port": 0, "kid": "one", ...}'
// Prints its address once it listens. Whoever signs in as "ada" is ada@example.edu; "x.unsure" has no verified address.
import { generateKeyPairSync } from "node:crypto";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const asked = JSON.parse(process.argv[2]);
const require = createRequire(asked.modules + "/");
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
const provider = new Provider(asked.issuer, {
  clients: [{ client_id: asked.client, client_secret: asked.secret, redirect_uris: asked.redirects }],
  jwks: { keys: [{ ...key, kid: asked.kid, use: "sig", alg: "RS256" }] },
  cookies: { keys: ["for tests"] },
  pkce: { required: () => true },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "preferred_username"] },
  features: { devInteractions: { enabled: true } },
  findAccount: (context, id) => ({
    accountId: id,
    claims: () => ({
      sub: "sub-of-" + id,
      preferred_username: id,
      email: id + "@example.edu",
      email_verified: !id.endsWith(".unsure"),
    }),
  }),
});
const server = provider.listen(asked.port, "127.0.0.1", () => console.log("listening on " + server.address().port));
