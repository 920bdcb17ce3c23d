from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView

from accounts import resetting
from deployx import api, errors, views

# Here and not as Django starts: a beat or a worker has no use for the admin's forms and their memory.
admin.autodiscover()
# The admin's own sign-in would know neither lock-outs nor second factors.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

admin.site.site_header = admin.site.site_title = _("DeployX administration")
admin.site.index_title = _("Everything there is")

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}img/favicon.svg")),
    path("admin/", admin.site.urls),
    path("accounts/password/reset/", resetting.reset, name="account_reset_password"),
    path("accounts/", include("allauth.urls")),
    path("", include("accounts.page_urls")),
    path("", include("devices.file_urls")),
    path("", include("devices.page_urls")),
    path("", include("scheduling.page_urls")),
    path("api/", include("devices.api.urls")),
    path("api/", include("accounts.api.urls")),
    path("api/", include("scheduling.api.catalogue.urls")),
    path("api/schedule/", include("scheduling.api.urls")),
    path("api/devices/", include("scheduling.api.device_runs")),
    path("api/", api.Root.as_view(), name="api-root"),
    path("api/schema", api.Description.as_view(), name="api-schema"),
    path("api/docs", api.Docs.as_view(), name="api-docs"),
    path("api/<path:rest>", api.Missing.as_view()),
]
handler500 = errors.server_error
