echo ctx >ctx
