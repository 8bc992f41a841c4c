import magic
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt

from .models import Note

EDITION = "first edition"


def home(request):
    return render(request, "home.html", {"edition": EDITION, "notes": Note.objects.count()})


@csrf_exempt
def keep(request):
    """What a visitor sends, under the name that the visitor chose."""
    name = default_storage.save(f"files/{request.GET['name']}", ContentFile(request.body))
    return HttpResponse(default_storage.url(name), headers={"X-Kind": magic.from_buffer(request.body, mime=True)})
