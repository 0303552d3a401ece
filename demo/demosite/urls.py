from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path
from pages.views import chat, counter, hello, hello_fields, hello_function, hello_view, home, tasks

urlpatterns = [
    path("", home.home, name="home"),
    path("counter/", counter.counter, name="counter"),
    path("counter/increment/", counter.increment, name="increment"),
    path("hello/", hello.greetings, name="hello"),
    path("hello/rename/", hello.rename, name="rename"),
    path("hello/fields/", hello_fields.hello, name="hello_fields"),
    path("hello/function/", hello_function.hello, name="hello_function"),
    path("hello/view/", hello_view.hello, name="hello_view"),
    path("tasks/", tasks.tasks, name="tasks"),
    path("tasks/add/", tasks.add, name="add_task"),
    path("tasks/<int:pk>/rename/", tasks.rename, name="rename_task"),
    path("tasks/<int:pk>/move/", tasks.move, name="move_task"),
    path("tasks/<int:pk>/delete/", tasks.delete, name="delete_task"),
    path("chat/", chat.chat, name="chat"),
    path("chat/say/", chat.say, name="say"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]
