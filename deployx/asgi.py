from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployx.settings")

import django
from channels.routing import ProtocolTypeRouter, URLRouter
from servestatic import ServeStaticASGI

django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402

from deployx.body_limit import LARGER_BODIES, BodyLimit  # noqa: E402
from deployx.charset import Utf8Alone  # noqa: E402
from deployx.lifespan import Lifespan  # noqa: E402
from deployx.one_visit import OneVisit  # noqa: E402
from deployx.routing import new_hub, websocket_urlpatterns  # noqa: E402
from scheduling.api.held_output import HeldOutput  # noqa: E402
from scheduling.catalogue.downloads import FileDownloads  # noqa: E402

hub = new_hub()
application = ProtocolTypeRouter(
    {
        "http": ServeStaticASGI(
            BodyLimit(Utf8Alone(FileDownloads(HeldOutput(OneVisit()))), larger=LARGER_BODIES),
            root=settings.STATIC_ROOT,
            prefix=settings.STATIC_URL,
        ),
        "websocket": URLRouter(websocket_urlpatterns(hub)),
        "lifespan": Lifespan(hub),
    }
)
