// Hands the image that was right-clicked to the side panel, which has the model: a panel stays open, a service worker doesn't.
chrome.runtime.onInstalled.addListener(() => {
  chrome.contextMenus.create({ id: "label", title: "What's in this image?", contexts: ["image"] });
});

chrome.contextMenus.onClicked.addListener(({ srcUrl }, tab) => {
  void chrome.sidePanel.open({ tabId: tab.id }); // first: the browser allows it only right after the click
  void chrome.storage.session.set({ image: srcUrl });
});
