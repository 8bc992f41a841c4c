from django.urls import path

from styleguide_example.users.apis import UserListApi

urlpatterns = [path("", UserListApi.as_view(), name="user-list")]
