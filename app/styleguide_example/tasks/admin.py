from django_celery_beat.admin import PeriodicTaskAdmin

# Its own form has a script inside the page, which CONTENT_SECURITY_POLICY does not let run.
PeriodicTaskAdmin.change_form_template = None
