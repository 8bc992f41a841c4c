"use strict";

SwaggerUIBundle({ url: "../schema/", dom_id: "#swagger-ui", deepLinking: true });
