$(document).bind('serverpush_reload', function(event, data) {
  $('body').html(data);
});
