"use strict";

// The page may be served under a prefix, and with a slash at its end.
const page = new URL(location.href);
page.pathname = page.pathname.replace(/\/+$/, "");

const ofThisService = () => ({
  statePlugins: {
    spec: {
      wrapActions: {
        // Calls go to the service that the page is from, under the same prefix.
        updateJsonSpec: (update) => (document) =>
          update({ ...document, servers: [{ url: new URL(".", page).href }] }),
      },
    },
  },
  // There is no server to choose.
  components: { ServersContainer: () => null },
});

SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: new URL("openapi.json", page).href,
  plugins: [ofThisService],
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  // The limits of a parameter beside its name.
  showCommonExtensions: true,
  // A token is a secret: it is forgotten with the page, not kept in the browser's storage.
  persistAuthorization: false,
  // No badge of a validator on the internet.
  validatorUrl: null,
});
