document.addEventListener("serverpush:counter", (event) => {
  document.querySelector("#count").textContent = event.detail.value;
});
