$(document).bind('serverpush_username_change', function(event, data) {
  $('body').html('Hey, ' + data.username + '!');
});
