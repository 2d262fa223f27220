ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

FROM ${NODE_IMAGE} AS production
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts && rm package-lock.json
COPY sql sql
# Whatever the umask of the checkout was, the unprivileged user can read it.
RUN chmod -R a+rX package.json sql
COPY --from=build /app/dist dist

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /app
# Owned by root and only read: the process writes no file, so the root file system can be read-only.
COPY --from=production /app ./
# For `docker exec`: slackchat-bridge status.
RUN ln -s /app/dist/main.js /usr/local/bin/slackchat-bridge
# The node image's user "node", as numbers so that Kubernetes' runAsNonRoot can tell.
USER 1000:1000
EXPOSE 4747
STOPSIGNAL SIGTERM
# Prints why it is not ready: `docker inspect` shows the last answers.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "-e", "const{ADMIN_HOST:h='',ADMIN_PORT:p='4747'}=process.env,a=/^(0\\.0\\.0\\.0|::)?$/.test(h)?'127.0.0.1':h;fetch(`http://${a.includes(':')?`[${a}]`:a}:${p||4747}/readyz`,{signal:AbortSignal.timeout(4000)}).then(async r=>{process.stdout.write(await r.text());process.exitCode=r.ok?0:1},e=>{console.log(e.cause?.message??e.message);process.exitCode=1})"]
# Meant to run below an init (docker run --init, compose's `init: true`): as process 1 the short commands would not heed SIGTERM.
# The two dashes: Node would take --env-file for its own, and end with status 9 where the file is not there.
ENTRYPOINT ["node", "--", "dist/main.js"]
CMD ["run"]

ARG NODE_IMAGE
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="slackchat-bridge" \
      org.opencontainers.image.description="Streams committed chat changes from PostgreSQL's logical replication to webhooks" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${NODE_IMAGE}"
